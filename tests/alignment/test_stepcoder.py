"""StepCoder's masks, curriculum and reward do what arXiv 2402.01391 says, and masked tokens get no gradient."""

import random

import pytest
import torch

from codeenv.agents.stepcoder.curriculum import CurriculumConfig, PrefixCurriculum, cut_lines
from codeenv.agents.stepcoder.mask import MaskConfig, kept_lines, random_mask, token_mask, token_spans

torch.set_num_threads(1)

PROGRAM = '''import sys

@cache
def f(x):
    """Say."""
    # a comment
    if x > 0:
        y = [
            1,
        ]
    elif x < -5:
        y = 2
    else:

        # dead
        y = 3
    try:
        g(y)
    except ValueError:
        y = 4
    finally:
        h(y)
    return y
'''


def lines_of(*texts):
    return {number for number, line in enumerate(PROGRAM.split("\n"), 1) if line.strip() in texts}


def test_a_dead_branch_loses_its_tokens_and_the_living_keep_theirs():
    kept = kept_lines(PROGRAM, [4, 5, 7, 8, 17, 18, 22, 23])
    dropped = set(range(1, PROGRAM.count("\n") + 2)) - kept
    comments = {2, 6, 14, 15, 24}
    assert dropped == comments | lines_of("elif x < -5:", "y = 2", "else:", "y = 3", "except ValueError:", "y = 4")


def test_headers_follow_their_bodies():
    kept = kept_lines(PROGRAM, [4, 7, 11, 16, 17, 18, 20, 22, 23])
    assert lines_of("else:", "try:", "except ValueError:", "finally:", "elif x < -5:") <= kept
    assert not lines_of("y = 2", "1,") & kept


@pytest.mark.parametrize(
    ("source", "covered", "kept"),
    [
        ("def f(:\n  pass", [1], {1, 2}),  # a syntax error: every token may be the wrong one
        ("x = 1\ny = 2", None, {1, 2}),  # nothing known
        ("x = 1\nwhile True:\n    pass\ny = 2", [1, 2, 3], {1, 2, 3}),  # a time limit: the lines reached so far
        ("import a\nclass C:\n    x = 1\n    def f(self):\n        return 2\n", [2, 3, 4], {1, 2, 3, 4}),
        ("match x:\n    case 1:\n        y = 1\n    case 2:\n        y = 2\n", [1, 5], {1, 4, 5}),
        ("for x in y:\n    a = 1\nelse:\n    b = 2\n", [1, 4], {1, 3, 4}),
        ("", [], set()),
    ],
)
def test_lines_are_kept_by_coverage(source, covered, kept):
    last = source.count("\n") + 1
    assert kept_lines(source, covered) - ({last} if source.endswith("\n") or not source else set()) == kept


def test_comments_are_kept_if_asked():
    assert kept_lines("# a\nx = 1\n\ny = 2", [2, 4], MaskConfig(comments=True)) == {1, 2, 3, 4}
    assert kept_lines("# a\nx = 1\n\ny = 2", [2, 4]) == {2, 4}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_tokens_outside_the_program_keep_their_loss(end):
    source = "if x:\n    a = 1\nelse:\n    b = 2\n".replace("\n", end)
    response = f"I think:\n```python\n{source}```\nDone."
    tokens = [response[i : i + 3] for i in range(0, len(response), 3)]
    mask = token_mask(response, source, token_spans(tokens), kept_lines(source, [1, 2]))
    start = response.index("else:")
    stop = response.index("```\nDone")
    for (left, right), keep in zip(token_spans(tokens), mask, strict=True):
        assert keep == (not (start <= left and right <= stop))


def test_a_program_that_is_not_in_the_response_masks_nothing():
    assert token_mask("abc", "xyz", [(0, 3)], []) == [True]


def test_masked_tokens_get_exactly_no_gradient():
    logits = torch.randn(4, 7, requires_grad=True)
    mask = torch.tensor([True, False, True, False])
    loss = -torch.log_softmax(logits, -1)[range(4), [1, 2, 3, 4]]
    ((loss * mask).sum() / mask.sum()).backward()
    assert (logits.grad[~mask] == 0).all()
    assert (logits.grad[mask] != 0).any(dim=1).all()


def test_the_random_control_has_equal_sparsity_row_by_row():
    masks = [[True] * 3 + [False] * 5, [False] * 4, [True]]
    drawn = random_mask(masks, seed=1)
    assert [sum(mask) for mask in drawn] == [3, 0, 1]
    assert [len(mask) for mask in drawn] == [8, 4, 1]
    assert drawn == random_mask(masks, seed=1) != masks


SOLUTION = """def f(x):
    y = 0
    if x:
        y = 1
    for z in x:
        y += z
    while y:
        y -= 1
    return y
"""


def test_cuts_run_from_the_end_to_the_beginning():
    assert cut_lines(SOLUTION) == [7, 5, 3]
    assert cut_lines("def (") == []


def test_success_moves_the_start_towards_the_beginning_and_failure_back():
    curriculum = PrefixCurriculum(CurriculumConfig(memory=0.0, full=0.0))
    seen = []
    for solved in (False, True, True, False, True, True, True):
        prefix = curriculum.prefix("p", SOLUTION)
        seen.append(prefix.count("\n"))
        curriculum.record("p", prefix, solved)
    assert seen == [6, 6, 4, 2, 4, 2, 0]
    assert curriculum.level("p", SOLUTION) == 0


def test_a_prefix_is_whole_lines_of_the_solution():
    curriculum = PrefixCurriculum(CurriculumConfig(full=0.0))
    assert SOLUTION.startswith(curriculum.prefix("p", SOLUTION))
    assert curriculum.prefix("q", "return 1\n") == ""


def test_full_starts_stay_in_the_mix():
    curriculum = PrefixCurriculum(seed=3)
    share = sum(curriculum.prefix("p", SOLUTION) == "" for _ in range(2000)) / 2000
    assert 0.2 < share < 0.3


def test_the_curriculum_solves_a_chain_of_choices_that_plain_search_does_not():
    """Eight choices of four options each: a tabular policy, reward only for a chain without a mistake."""

    def episodes_to_solve(with_curriculum, limit=4000):
        generator = random.Random(0)
        weights = [[1.0] * 4 for _ in range(8)]
        solution = "".join(f"if c{i}:\n    a = {i}\n" for i in range(8))
        curriculum = PrefixCurriculum(CurriculumConfig(full=0.1), seed=1)
        streak = 0
        for episode in range(limit):
            prefix = curriculum.prefix("p", solution) if with_curriculum else ""
            given = prefix.count("\n") // 2
            picks = [generator.choices(range(4), weights[i])[0] for i in range(given, 8)]
            solved = all(pick == 0 for pick in picks)
            for i, pick in zip(range(given, 8), picks, strict=True):
                weights[i][pick] *= 1.3 if solved else 0.999
            if with_curriculum:
                curriculum.record("p", prefix, solved)
            if not given:
                streak = streak + 1 if solved else 0
                if streak == 5:
                    return episode
        return None

    assert episodes_to_solve(True) is not None
    assert episodes_to_solve(False) is None
