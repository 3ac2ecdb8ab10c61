"""A model behind an OpenAI-compatible endpoint: python chat_model.py MODEL BASE_URL [RUN_FOLDER]

The key, if the server wants one, is in the environment variable OPENAI_API_KEY.
"""

import sys

from codeenv import CodeenvError, rollout
from codeenv.agents.chat import ChatAgent
from codeenv.evaluation.report import write_report


def main(model, base_url, folder="runs/chat"):
    agent = ChatAgent(model, base_url, temperature=0.2, max_tokens=1024, usd_per_mtok_in=0.1, usd_per_mtok_out=0.4)
    result = rollout("codeenv/HumanEval-v0", agent, episodes=8, limit=8, out=folder, concurrency=8)
    print(f"{result.solved} of {result.episodes} solved; {len(result.failures)} could not be finished")
    print("The report is in", write_report([folder], f"{folder}/report.html", title=model))


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit("usage: python chat_model.py MODEL BASE_URL [RUN_FOLDER]")
    try:
        main(*sys.argv[1:])
    except CodeenvError as error:  # no package openai, no server, a run folder that is taken: one sentence
        sys.exit(str(error))
