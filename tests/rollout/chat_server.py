"""A small OpenAI-compatible server that misbehaves on request. Run it: python chat_server.py; it prints its port."""

import asyncio
import json
import random
import sys

RIGHT = "```python\ndef f(x):\n    return x + 1\n```"
WRONG = "```python\ndef f(x):\n    return x\n```"
FAULTS = {"always-429": 0, "always-500": 1, "always-half": 2, "always-empty": 3}
together = {"waiting": 0, "arrived": asyncio.Event()}
state = {"requests": 0, "now": 0, "most": 0, "keys": set()}


def completion(text, logprobs):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if logprobs:
        choice["logprobs"] = {
            "content": [{"token": word, "logprob": -0.5, "bytes": None, "top_logprobs": []} for word in text.split()]
        }
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "served-model", "choices": [choice], "usage": usage}


async def answer(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            body = await reader.readexactly(size)
            if head.startswith(b"GET /state"):
                await send(writer, 200, {**state, "keys": sorted(state["keys"])})
                continue
            state["keys"].update(
                line.split(b":", 1)[1].strip().decode()
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"authorization:")
            )
            if not await chat(json.loads(body), writer):
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def chat(request, writer):
    """Answer one request; return whether the connection goes on."""
    state["requests"] += 1
    number = state["requests"]
    state["now"] += 1
    state["most"] = max(state["most"], state["now"])
    try:
        await asyncio.sleep(0.02)
    finally:
        state["now"] -= 1
    model, fails = request["model"], random.Random(number).random() < 0.3
    if model == "refuses":
        await send(writer, 401, {"error": {"message": "the key Bearer secret-key-1234 is not known"}})
    elif model == "hangs":
        await asyncio.sleep(3600)
    elif model == "is-a-page":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>")
        await writer.drain()
    elif model == "never-stops":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
            await writer.drain()
    elif model == "waits-for-70":
        together["waiting"] += 1
        if together["waiting"] == 70:
            together["arrived"].set()
        try:
            await asyncio.wait_for(together["arrived"].wait(), 6)
        except TimeoutError:
            together["waiting"] -= 1
        await send(writer, 200, completion(RIGHT, False))
    elif model == "half-a-pair":
        first = not any(message["role"] == "assistant" for message in request["messages"])
        await send(writer, 200, completion("\ud83d" if first else RIGHT, False))
    elif model == "asks-for-an-hour":
        await send(writer, 429, {"error": {"message": "come back later"}}, "Retry-After: 3600\r\n")
    elif model == "fails-at-length":
        await send(writer, 400, {"error": {"message": "x" * 3_000_000}})
    elif model in FAULTS or model == "is-down" or (model == "flaky" and fails):
        kind = FAULTS.get(model, 1 if model == "is-down" else number % 4)
        if kind == 0:
            await send(writer, 429, {"error": {"message": "too many"}}, "Retry-After: 0.01\r\n")
        elif kind == 1:
            await send(writer, 500, {"error": {"message": "broken"}}, "Retry-After: 0\r\n")
        elif kind == 2:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + b'{"id": "c", "choi'
            )
            await writer.drain()
            return False
        else:
            await send(writer, 200, completion("", False))
    else:
        turns = sum(message["role"] == "assistant" for message in request["messages"])
        await send(writer, 200, completion(RIGHT if turns else WRONG, request.get("logprobs")))
    return True


async def send(writer, status, value, headers=""):
    body = json.dumps(value).encode()
    writer.write(
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
    )
    await writer.drain()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
