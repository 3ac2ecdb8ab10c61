"""An OpenEnv server on loopback and a client that plays one episode on it.

pip install 'codeenv-rl[openenv]' && python examples/openenv_episode.py
"""

import sys
import threading

try:
    import uvicorn

    from codeenv import load_problems
    from codeenv.integrations.openenv import CodeAction, CodeClient, create_code_app
    from codeenv.submission import fence
except ImportError as error:
    sys.exit(f"{error.name or error} is missing; install it with: pip install 'codeenv-rl[openenv]'")

problems = load_problems("procedural", limit=4)
server = uvicorn.Server(uvicorn.Config(create_code_app(problems), port=0, log_level="warning"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    thread.join(0.05)
url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
with CodeClient(base_url=url).sync() as env:
    result = env.reset(index=0)
    for response in ("Let me think.", fence(problems[0].correct_solutions[0])):
        result = env.step(CodeAction(response=response))
        print(f"reward {result.reward:+.1f}, done {result.done}, {result.observation.metadata['verdict']}")
server.should_exit = True
thread.join()
