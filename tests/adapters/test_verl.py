"""verl's own classes call our reward function and our agent loop. Its trainer needs GPUs and is not run here."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("verl", reason="verl runs in an environment of its own")

import yaml
from adapter_problems import PROBLEMS, our_rewards, scripted_responses
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tiny_chat_tokenizer import make_tokenizer
from verl.experimental.agent_loop.agent_loop import DictConfigWrap
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from codeenv.integrations.verl import CodeAgentLoop, compute_score, dataset_rows


class ScriptedServer:
    """In the place of verl's client of an inference server: the tokens of the scripted responses."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.asked = []

    async def generate(self, request_id, *, prompt_ids, sampling_params, **_):
        self.asked.append((request_id, list(prompt_ids)))
        text = self.tokenizer.decode(prompt_ids)
        problem = next(problem for problem in PROBLEMS if problem.statement in text)
        turn = sum(request == request_id for request, _ in self.asked) - 1
        ids = self.tokenizer.encode(scripted_responses(problem)[turn], add_special_tokens=False)
        return TokenOutput(token_ids=[*ids, self.tokenizer.eos_token_id], log_probs=[-0.5] * (len(ids) + 1))


def play(rows, settings):
    tokenizer = make_tokenizer()
    config = OmegaConf.create(
        {
            "actor_rollout_ref": {"rollout": {"prompt_length": 4096, "response_length": 8192}},
            "data": {"apply_chat_template_kwargs": {}},
        }
    )

    async def run():
        server = ScriptedServer(tokenizer)
        outputs = []
        for row in rows:
            loop = instantiate(
                settings,
                trainer_config=DictConfigWrap(config=config),
                server_manager=server,
                tokenizer=tokenizer,
                processor=None,
                dataset_cls=RLHFDataset,
                data_config=DictConfigWrap(config=config.data),
            )
            outputs.append(await loop.run({"temperature": 1.0}, raw_prompt=row["prompt"], extra_info=row["extra_info"]))
        return outputs, server, tokenizer

    return asyncio.run(run())


@pytest.fixture(scope="module")
def played(request):
    text = (request.config.rootpath / "examples" / "verl_agent_loop.yaml").read_text()
    (settings,) = yaml.safe_load(text)
    settings.pop("name")
    return play(list(dataset_rows(PROBLEMS)), settings)


def test_rewards_on_one_hundred_episodes_equal_ours(played, judge):
    theirs = {problem.id: output.reward_score for problem, output in zip(PROBLEMS, played[0], strict=True)}
    assert theirs == pytest.approx(our_rewards(judge))


def test_only_sampled_tokens_are_marked_and_keep_their_log_probabilities(played):
    outputs, _, tokenizer = played
    for problem, output in zip(PROBLEMS, outputs, strict=True):
        turns = len(output.extra_fields["turn_scores"])
        sampled = [token for token, mark in zip(output.response_ids, output.response_mask, strict=True) if mark]
        expected = []
        for response in scripted_responses(problem)[:turns]:
            expected += [*tokenizer.encode(response, add_special_tokens=False), tokenizer.eos_token_id]
        assert sampled == expected
        marked = {value for value, mark in zip(output.response_logprobs, output.response_mask, strict=True) if mark}
        assert marked == {-0.5}
    multi = next(output for output in outputs if len(output.extra_fields["turn_scores"]) == 3)
    assert 0 in multi.response_mask


def test_every_prompt_begins_with_the_one_before_it(played):
    by_request = {}
    for request, prompt in played[1].asked:
        before = by_request.get(request, [])
        assert prompt[: len(before)] == before
        by_request[request] = prompt


def test_the_reward_function_scores_a_single_answer():
    rows = list(dataset_rows(PROBLEMS, agent="single_turn_agent"))
    for problem, row in zip(PROBLEMS[:12], rows, strict=False):
        for response, solved in ((scripted_responses(problem)[0], None), (f"```python\n{problem.correct_solutions[0]}```", True)):
            truth = row["reward_model"]["ground_truth"]
            result = compute_score(row["data_source"], response, truth, extra_info=row["extra_info"], reward_router_address=None)
            assert result["score"] == (1.0 if result["acc"] else -1.0)
            assert solved is None or result["acc"] == 1.0


def test_the_loop_is_registered_by_name():
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    assert _agent_loop_registry["codeenv"]["_target_"] == f"{CodeAgentLoop.__module__}.CodeAgentLoop"


def test_verls_own_sandbox_fusion_client_scores_with_codeenv_serve():
    sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
    from running import running_service
    from verl.utils.reward_score import sandbox_fusion

    cases = {"inputs": ["2\n", "5\n"], "outputs": ["4\n", "10\n"]}
    calls = {"inputs": ["[1]", "[41]"], "outputs": ["2", "42"], "fn_name": "f"}
    token = "a-token-of-more-than-16-characters"
    with running_service("--workers", "2", token=token) as service:
        url = service.url.replace("http://", f"http://anyone:{token}@") + "/run_code"

        def score(code, tests):
            return sandbox_fusion.compute_score(url, None, 512, f"```python\n{code}\n```", json.dumps(tests), continuous=True)[0]

        assert score("print(int(input()) * 2)", cases) == 1.0
        assert score("print(4)", cases) == 0.5
        assert score("raise ValueError", cases) == 0.0
        assert score("def f(xs):\n    return xs[0] + 1", calls) == 1.0
