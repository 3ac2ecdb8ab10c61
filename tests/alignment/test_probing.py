"""Probes of frozen policies: held-out problems, controls, and a verb that compares models."""

import json

import pytest
import torch

from codeenv.agents.alignment.miniature import build_tokenizer
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.trace_head.labels import RunLabels, Variable
from codeenv.agents.trace_head.positions import turn_labels
from codeenv.agents.trace_head.probing import ProbedTurn, probe_policy
from codeenv.cli import main as codeenv
from codeenv.errors import CodeenvError
from codeenv.problems.procedural import values
from codeenv.rollout import rollout

torch.set_num_threads(1)

TINY = MiniShape(hidden=16, feed_forward=32, layers=2, heads=2)
CHAT = PlainFormat(build_tokenizer())


def probed(count):
    turns = []
    for task in values.sample_tasks("train", count, seed=0):
        problem, source = values.problem(task), task.program.source
        # The class is decided by the token at which the probe reads: what u is bound to.
        readable = Variable("f.u", source.index("\n return"), 2, task.program.pick)
        labels = RunLabels(0, None, {}, (readable,))
        ids = CHAT.response(source)
        conversation = TokenConversation()
        conversation.add_environment(CHAT.opening(task.statement))
        conversation.add_response(ids, [0.0] * len(ids), "stop")
        found = turn_labels(source, source, response_spans(CHAT.tokenizer, ids, source), labels)
        turns.append(ProbedTurn(conversation, 0, found, problem.id))
    return turns


def test_every_layer_is_probed_beside_its_controls():
    policy = build_mini_policy(CHAT.tokenizer, TINY, seed=0)
    before = [parameter.clone() for parameter in policy.parameters()]
    results = probe_policy(policy, probed(150))
    assert {(one.question, one.layer) for one in results} >= {("bucket", layer) for layer in range(3)}
    for one in results:
        assert min(one.accuracy, one.shuffled, one.token_only, one.majority) >= 0
        assert one.gain <= one.accuracy - one.majority
        if one.layer == 0:
            assert one.accuracy == one.token_only
    bucket = [one for one in results if one.question == "bucket"]
    assert bucket[0].accuracy > 0.9
    assert max(one.shuffled for one in bucket) < 0.7
    assert all((one == other).all() for one, other in zip(before, policy.parameters(), strict=True))


def test_too_few_problems_cannot_be_split():
    with pytest.raises(CodeenvError, match="at least 4"):
        probe_policy(build_mini_policy(CHAT.tokenizer, TINY, seed=0), probed(3))


def test_the_verb_compares_models_on_a_recorded_run(tmp_path, judge, capsys):
    problems = [values.problem(task) for task in values.sample_tasks("train", 40, seed=5)]
    rows = "".join(json.dumps(problem.to_dict()) + "\n" for problem in problems)
    (tmp_path / "problems.jsonl").write_text(rows)
    rollout(str(tmp_path / "problems.jsonl"), "oracle", out=str(tmp_path / "run"), prompt="plain")
    models = []
    for seed in range(2):
        path = tmp_path / f"model-{seed}"
        build_mini_policy(CHAT.tokenizer, TINY, seed).save_pretrained(path)
        CHAT.tokenizer.save_pretrained(path)
        models.append(str(path))
    arguments = ["--run", str(tmp_path / "run"), "--problems", str(tmp_path / "problems.jsonl")]
    assert codeenv(["probe", *models, *arguments, "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert {row["model"] for row in found} == set(models)
    for question in {"outcome", "line", "type", "bucket"} - {row["question"] for row in found}:
        assert question in said.err
    assert {row["layer"] for row in found} == {0, 1, 2}
    own = ["--run", str(tmp_path / "run")]  # the problems that the run recorded
    assert codeenv(["probe", models[0], *own, "--json", "--out", str(tmp_path / "probe.html")]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)
    assert "probe.html" in said.err
    assert "Probe: bucket" in (tmp_path / "probe.html").read_text()


def test_a_run_of_other_problems_or_without_any_is_refused(tmp_path, capsys):
    assert codeenv(["probe", "nowhere", "--run", str(tmp_path)]) == 2
    assert "name the run's data set in --problems" in capsys.readouterr().err
    assert codeenv(["probe", "nowhere", "--run", str(tmp_path), "--problems", "humaneval"]) == 2
    assert "probe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b'{"broken', "line 2"),
        (b"[1]", "line 2: the row is not an object"),
        (b"{}", "line 2"),
        (b"[" * 100_000, "line 2"),
        (b"\xff\xfe", "is no UTF-8 text"),
    ],
)
def test_damaged_problems_of_a_run_are_a_sentence(tmp_path, capsys, row, said):
    (tmp_path / "problems.jsonl").write_bytes(b"\n" + row + b"\n")
    assert codeenv(["probe", "nowhere", "--run", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no model is named"),
        (["m", "--limit", "0"], "--limit is 0"),
        (["m", "--limit", "-5"], "--limit is -5"),
        (["m", "--threads", "-3"], "--threads is -3"),
        (["m", "--out", "."], "--out '.' is a folder"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_the_work(tmp_path, capsys, arguments, said):
    assert codeenv(["probe", *arguments, "--run", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
