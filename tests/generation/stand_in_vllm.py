"""A server over a real model with the endpoints of vLLM 0.33 that the trainer uses, in vLLM's request and response forms.

    python stand_in_vllm.py MODEL_FOLDER PORT [--no-dev] [--no-ids]

Like vLLM it keeps what it computed for a prompt until `/reset_prefix_cache`, stops where `stop_token_ids` says, and gives
log-probabilities before temperature and top-p. Weights come through `/collective_rpc` from a folder.
"""

import json
import sys

import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)


class Engine:
    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.prefixes = {}

    def reload_weights(self, weights_path):
        self.model = AutoModelForCausalLM.from_pretrained(weights_path).eval()

    @torch.no_grad()
    def logits(self, ids, prompt):
        key = tuple(ids)
        if not prompt or key not in self.prefixes:
            found = self.model(torch.tensor([ids])).logits[0, -1].float()
            if not prompt:
                return found
            self.prefixes[key] = found
        return self.prefixes[key]

    def complete(self, row):
        generator = torch.Generator().manual_seed(row["seed"])
        written, logprobs, finish = [], [], "length"
        while len(written) < row["max_tokens"]:
            raw = torch.log_softmax(self.logits([*row["prompt"], *written], not written), dim=-1)
            if row["temperature"] == 0:
                token = int(raw.argmax())
            else:
                token = int(torch.multinomial(torch.softmax(raw / row["temperature"], -1), 1, generator=generator))
            written.append(token)
            logprobs.append(float(raw[token]))
            if token in row["stop_token_ids"]:
                finish = "stop"
                break
        return written, logprobs, finish


def make_app(folder, dev, ids):
    app, engine = FastAPI(), Engine(folder)

    def refused(status, message):
        return JSONResponse({"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}, status)

    @app.get("/v1/models")
    def models():
        return {"object": "list", "data": [{"id": "policy", "object": "model", "owned_by": "vllm"}]}

    @app.post("/v1/completions")
    async def completions(request: Request):
        row = await request.json()
        if row["model"] != "policy":
            return refused(404, f"The model `{row['model']}` does not exist.")
        if len(row["prompt"]) + row["max_tokens"] > engine.model.config.max_position_embeddings:
            return refused(400, "This model's maximum context length is exceeded.")
        written, logprobs, finish = engine.complete(row)
        choice = {"index": 0, "text": "", "finish_reason": finish, "stop_reason": written[-1] if finish == "stop" else None}
        if ids:
            choice |= {"token_ids": written, "prompt_token_ids": row["prompt"]}
        if row.get("logprobs") is not None:
            named = [f"token_id:{token}" for token in written]
            choice["logprobs"] = {"text_offset": [], "tokens": named, "token_logprobs": logprobs, "top_logprobs": []}
        usage = {"prompt_tokens": len(row["prompt"]), "completion_tokens": len(written)}
        return {"id": "cmpl-0", "object": "text_completion", "model": "policy", "choices": [choice], "usage": usage}

    if dev:

        @app.post("/collective_rpc")
        async def collective_rpc(request: Request):
            row = json.loads(await request.body())
            assert row["method"] == "reload_weights"
            try:
                engine.reload_weights(**row["kwargs"])
            except OSError as error:
                return refused(500, str(error))
            return {"results": [None]}

        @app.post("/reset_prefix_cache")
        def reset_prefix_cache():
            engine.prefixes.clear()
            return {"success": True}

    return app


if __name__ == "__main__":
    app = make_app(sys.argv[1], "--no-dev" not in sys.argv, "--no-ids" not in sys.argv)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
