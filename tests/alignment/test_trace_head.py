"""The trace head: labels from real runs, positions through real tokens, losses that average per submission, metrics."""

import json
import math

import pytest
import torch

from codeenv.agents.alignment.miniature import build_tokenizer, family_labels
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.trace_head.classes import BUCKETS, EXCEPTIONS, HEADS, OUTCOMES, TYPES, outcome_class, value_classes
from codeenv.agents.trace_head.heads import TraceHead, head_loss, scaled_gradient
from codeenv.agents.trace_head.labels import RunLabels, Submission, TracedLabels, Variable
from codeenv.agents.trace_head.metrics import auroc, class_f1, head_metrics, macro_f1, majority
from codeenv.agents.trace_head.positions import build_positions, turn_labels
from codeenv.agents.trace_head.static import StaticBaseline
from codeenv.errors import CodeenvError
from codeenv.judge.verdict import Verdict
from codeenv.problems import CallTest, Problem
from codeenv.problems.procedural import values

torch.set_num_threads(1)

ABS = Problem(
    "test/abs", "s", "call", "f", public_tests=(CallTest((-3,), {}, 3), CallTest((4,), {}, 4)),
    private_tests=(CallTest((77,), {}, 77),)
)  # fmt: skip
BRANCH = '''def f(x):
    """Say."""
    if x < 0:
        y = -x
        z = [y] * 12
    else:
        y = x
        w = "never"
    return y + 1
'''


def labels_of(judge, source, problem=ABS):
    report = judge.judge(problem, source, tests="public")
    return TracedLabels(judge)([Submission(problem, source, report)])[0]


def test_labels_are_those_of_the_first_failing_public_test(judge):
    labels = labels_of(judge, BRANCH)
    assert labels.outcome == OUTCOMES.index("wrong_answer")
    assert labels.exception is None
    assert labels.lines == {3: True, 4: True, 5: True, 7: False, 8: False, 9: True}
    found = {one.name: (TYPES[one.type], BUCKETS[one.bucket]) for one in labels.variables}
    assert found == {"f.y": ("int", "0..10"), "f.z": ("sequence", "larger"), "f.w": ("not_reached", "not_reached")}
    ends = {one.name: BRANCH[: one.end].splitlines()[-1].strip() for one in labels.variables}
    assert ends == {"f.y": "y = x", "f.z": "z = [y] * 12", "f.w": 'w = "never"'}


@pytest.mark.parametrize("end", ["\r", "\r\n", "\f\n"])
def test_lines_end_as_python_ends_them(judge, end):
    source = BRANCH.replace("\n", end)
    plain, labels = labels_of(judge, BRANCH), labels_of(judge, source)
    assert labels.lines == plain.lines
    assert [(one.name, source[: one.end].split(end)[-1]) for one in labels.variables] == [
        (one.name, BRANCH[: one.end].split("\n")[-1]) for one in plain.variables
    ]
    spans = [(at, at + 1) for at in range(len(source))]
    found = turn_labels(source, source, spans, labels)
    rows = {source[at[0] : at[-1] + 1].strip() for at, _ in found.lines}
    assert rows == {"if x < 0:", "y = -x", "z = [y] * 12", "y = x", 'w = "never"', "return y + 1"}
    StaticBaseline().observe([source], [found])


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("g = 0\ndef f(x):\n    global g\n    g = abs(x)\n    return g\n", {"g": "int"}),
        ("def f(x):\n    global g\n    g = 'ab'\n    return abs(x)\n", {"g": "str"}),
        (
            "def f(x):\n    c = None\n    def h():\n        nonlocal c\n        c = abs(x)\n    h()\n    return c\n",
            {},
        ),
        (
            "def f(c):\n    def h():\n        nonlocal c\n        def k():\n            nonlocal c\n            c = abs(c)\n"
            "        k()\n    h()\n    return c\n",
            {},
        ),
        (
            "class K:\n    a = 1\n    for b in 'xy': pass\n    def m(self, x):\n        d = abs(x)\n        return d\n"
            "def f(x):\n    return K().m(x)\n",
            {"K.m.d": "int"},
        ),
        ("def f(x):\n    y = abs(x)\n    def h():\n        y = 'never'\n    return y\n", {"f.y": "int", "f.h.y": "not_reached"}),
    ],
    ids=["global", "global alone", "nonlocal", "nonlocal of nonlocal", "a class's body", "another scope's name"],
)
def test_names_belong_to_the_scope_that_owns_them(judge, source, names):
    assert {one.name: TYPES[one.type] for one in labels_of(judge, source).variables} == names


def test_the_given_beginning_of_a_program_has_no_tokens_and_the_rest_keeps_its_labels(judge):
    given = "".join(BRANCH.splitlines(keepends=True)[:4])
    text = f"```python\n{BRANCH.removeprefix(given)}```"
    spans = [(at, at + 1) for at in range(len(text))]
    found = turn_labels(text, BRANCH, spans, labels_of(judge, BRANCH), given)
    assert found.line_numbers == (5, 7, 8, 9)
    assert [text[at[0] : at[-1] + 1].strip() for at, _ in found.lines] == ["z = [y] * 12", "y = x", 'w = "never"', "return y + 1"]
    ends = {name: text[: at + 1].splitlines()[-1].strip() for name, (at, *_) in zip(found.names, found.variables, strict=True)}
    assert ends == {"f.y": "y = x", "f.z": "z = [y] * 12", "f.w": 'w = "never"'}


@pytest.mark.parametrize(
    ("source", "outcome", "exception"),
    [
        ("def f(x):\n    return abs(x)\n", "pass", None),
        ("def f(x):\n    return [][x]\n", "exception", "Index"),
        ("def f(x):\n    return x.y\n", "exception", "Attribute"),
        ("def f(x):\n    raise OSError\n", "exception", "other"),
        ("def f(x):\n    return f(x)\n", "exception", "Recursion"),
        ("def f(x:\n", "syntax_error", None),
        ("def f(x):\n    while True: pass\n", "timeout", None),
    ],
)
def test_every_outcome_has_its_class(judge, source, outcome, exception):
    problem = Problem(
        "p", "s", "call", "f", public_tests=ABS.public_tests, limits=values.problem(values.sample_tasks("train", 1, 0)[0]).limits
    )
    labels = labels_of(judge, source, problem)
    assert OUTCOMES[labels.outcome] == outcome
    assert (None if labels.exception is None else EXCEPTIONS[labels.exception]) == exception


def test_a_response_without_code_and_a_judge_error_have_defined_labels():
    assert OUTCOMES[outcome_class(Verdict.NO_CODE)] == "no_code"
    assert outcome_class(Verdict.JUDGE_ERROR) is None
    assert turn_labels("text", None, [(0, 4)], RunLabels(None)) is None
    assert turn_labels("text", None, [(0, 4)], RunLabels(OUTCOMES.index("no_code"))).end == 0


@pytest.mark.parametrize(
    ("text", "kind", "bucket"),
    [
        ("None", "none", "none"), ("True", "bool", "true"), ("False", "bool", "false"), ("0", "int", "zero"), ("10", "int",
        "0..10"),
        ("11", "int", "above_10"), ("-10", "int", "-10..0"), ("-11", "int", "below_-10"), ("0.5", "float", "0..10"),
        ("nan", "float", "nan_or_inf"), ("-inf", "float", "nan_or_inf"), ("''", "str", "empty_str"), ("'ab'", "str", "short_str"),
        (repr("a" * 11), "str", "long_str"), ("[]", "sequence", "empty_container"), ("(1,)", "sequence", "size_1..10"),
        ("[1, 2, <90 more>, 3]", "sequence", "larger"), ("{}", "mapping_or_set", "empty_container"), ("set()",
        "mapping_or_set", "empty_container"), ("{1: 2}", "mapping_or_set", "size_1..10"),
    ],
)  # fmt: skip
def test_values_fall_into_types_and_buckets(text, kind, bucket):
    found = value_classes(text)
    assert (TYPES[found[0]], BUCKETS[found[1]]) == (kind, bucket)


def test_values_of_other_types_have_no_class():
    assert value_classes("<function f>") is None
    assert value_classes("C(x=1)") is None


def test_the_familys_known_labels_are_those_of_real_runs(judge):
    for task in values.sample_tasks("train", 4, seed=3):
        problem, source = values.problem(task), values.ValuesProgram(7).source
        submission = Submission(problem, source, judge.judge(problem, source, tests="public"))
        assert family_labels([submission]) == TracedLabels(judge)([submission])


def test_positions_point_at_the_tokens_of_lines_and_assignments():
    chat = PlainFormat(build_tokenizer())
    source = values.ValuesProgram(4).source
    ids = chat.response(source)
    spans = response_spans(chat.tokenizer, ids, source)
    labels = RunLabels(0, None, {2: True, 3: False}, (Variable("f.u", source.index("\n return"), 2, 3),))
    found = turn_labels(source, source, spans, labels)
    tokens = [chat.tokenizer.decode([token]) for token in ids]
    assert tokens[found.end].strip() == "return u"
    assert " u=max(p,q)" in [tokens[offset] for offset in found.lines[0][0]]
    assert "\n return u" in [tokens[offset] for offset in found.lines[1][0]]
    assert tokens[found.variables[0][0]] == " u=max(p,q)"
    at = build_positions([found, found], rows=[0, 3], starts=[10, 20])
    assert at.end_row.tolist() == [0, 3]
    assert at.end_column.tolist() == [10 + found.end, 20 + found.end]
    assert at.line.tolist() == [1, 0, 1, 0]
    assert at.variable_column.tolist() == [10 + found.variables[0][0], 20 + found.variables[0][0]]


def test_spans_survive_tokens_that_are_parts_of_characters():
    class Bytes:
        """A tokenizer without offsets whose tokens are single bytes."""

        def decode(self, ids, skip_special_tokens=False):
            return bytes(ids).decode(errors="replace")

        def batch_decode(self, rows, skip_special_tokens=False):
            return [self.decode(row) for row in rows]

    text = "aé漢z"
    spans = response_spans(Bytes(), list(text.encode()), text)
    assert spans[0] == (0, 1)
    assert spans[-1] == (3, 4)
    assert "".join(text[left:right] for left, right in spans) == text


def random_case():
    turn = turn_labels(
        BRANCH,
        BRANCH,
        [(i, i + 4) for i in range(0, len(BRANCH), 4)],
        RunLabels(1, None, {3: True, 4: False}, (Variable("f.y", 70, 2, 4),)),
    )
    hidden = torch.randn(2, 80, 8, requires_grad=True)
    return turn, hidden


def test_masked_heads_give_exactly_no_gradient():
    turn, hidden = random_case()
    head = TraceHead(8, width=4)
    head_loss(head(hidden, build_positions([turn], [0], [2])), build_positions([turn], [0], [2])).sum().backward()
    assert all(parameter.grad is None for parameter in head.layers["to_exception"].parameters()) or all(
        (parameter.grad == 0).all() for parameter in head.layers["to_exception"].parameters()
    )
    assert any((parameter.grad != 0).any() for parameter in head.layers["to_outcome"].parameters())
    assert (hidden.grad[1] == 0).all()


def test_a_probe_sends_no_gradient_into_the_trunk_and_the_weight_scales_it():
    turn, hidden = random_case()
    at = build_positions([turn], [0], [2])
    head = TraceHead(8, width=4)
    gradients = {}
    for scale in (0.0, 0.1, 1.0):
        hidden.grad = None
        head_loss(head(scaled_gradient(hidden, scale), at), at).sum().backward()
        gradients[scale] = None if hidden.grad is None else hidden.grad.clone()
    assert gradients[0.0] is None
    assert torch.allclose(gradients[0.1], 0.1 * gradients[1.0], atol=1e-7)


def test_long_programs_do_not_outweigh_short_ones():
    torch.manual_seed(0)
    head = TraceHead(8, width=4, heads=("line",))
    short = turn_labels("ab\ncd", "ab\ncd", [(0, 3), (3, 5)], RunLabels(1, None, {1: True}))
    text = "\n".join(["ab"] * 50)
    long = turn_labels(
        text, text, [(3 * i, 3 * i + 3) for i in range(50)], RunLabels(1, None, dict.fromkeys(range(1, 51), False))
    )
    at = build_positions([short, long], [0, 1], [0, 0])
    losses = head_loss(head(torch.zeros(2, 60, 8), at), at)
    probabilities = head(torch.zeros(2, 60, 8), at)["line"].log_softmax(-1)
    assert torch.allclose(losses, torch.stack([-probabilities[0, 1], -probabilities[1, 0]]), atol=1e-6)


def test_an_unknown_head_is_refused():
    with pytest.raises(CodeenvError, match="bucket"):
        TraceHead(8, heads=("value",))


def test_metrics_match_hand_counts():
    predicted, true = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 1])
    assert majority(true) == 0.75
    assert class_f1(predicted, true, 1) == pytest.approx(0.5)
    assert macro_f1(predicted, true) == pytest.approx((2 / 3 + 0.5) / 2)
    assert auroc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])) == pytest.approx(0.75)
    assert auroc(torch.tensor([0.5, 0.5]), torch.tensor([0, 1])) == 0.5
    assert math.isnan(auroc(torch.tensor([0.5]), torch.tensor([1])))


def test_whole_paths_count_only_when_every_line_is_right():
    logits = {"line": torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])}
    found = head_metrics(logits, {"line": torch.tensor([1, 0, 1, 0])}, torch.tensor([0, 0, 1, 1]))
    assert found["head_line_path_exact"] == 0.5
    assert found["head_line_not_run_f1"] == pytest.approx(2 / 3)


def test_a_head_learns_the_bucket_of_a_value_far_beyond_the_majority():
    torch.manual_seed(0)
    rows, classes = 400, len(HEADS["bucket"])
    truth = torch.randint(0, 6, (rows,))
    hidden = torch.nn.functional.one_hot(truth, classes).float()[:, None, :].repeat(1, 3, 1) + 0.3 * torch.randn(rows, 3, classes)
    turns = [turn_labels("x", "x", [(0, 1)], RunLabels(1, None, {}, (Variable("x", 1, 2, int(bucket)),))) for bucket in truth]
    at = build_positions(turns, list(range(rows)), [1] * rows)
    head = TraceHead(classes, width=32, heads=("bucket",))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        head_loss(head(hidden, at), at).mean().backward()
        optimizer.step()
    right = float((head(hidden, at)["bucket"].argmax(-1) == truth).float().mean())
    assert right > majority(truth) + 0.2


def test_classes_are_json_ready():
    assert json.dumps(HEADS)
    assert [len(HEADS[name]) for name in ("outcome", "exception", "line", "type", "bucket")] == [6, 10, 2, 8, 16]
