"""How good the head's predictions are, next to guesses that do not look at the states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from codeenv.agents.trace_head.classes import HEADS

__all__ = ["accuracy", "auroc", "class_f1", "head_metrics", "macro_f1", "majority"]


def accuracy(predicted: Tensor, true: Tensor) -> float:
    """Return the share of right predictions; NaN without any."""
    return float((predicted == true).float().mean()) if len(true) else float("nan")


def majority(true: Tensor) -> float:
    """Return the accuracy of always guessing the commonest class."""
    return max(Counter(true.tolist()).values()) / len(true) if len(true) else float("nan")


def class_f1(predicted: Tensor, true: Tensor, number: int) -> float:
    """Return the F1 score of one class; 0.0 if it was neither predicted nor true."""
    right = int(((predicted == number) & (true == number)).sum())
    total = int((predicted == number).sum()) + int((true == number).sum())
    return 2 * right / total if total else 0.0


def macro_f1(predicted: Tensor, true: Tensor) -> float:
    """Return the mean F1 score over the classes that occur in the truth."""
    classes = sorted(set(true.tolist()))
    return sum(class_f1(predicted, true, number) for number in classes) / len(classes) if classes else float("nan")


def auroc(scores: Tensor, true: Tensor) -> float:
    """Return the probability that a positive scores above a negative, ties counted half; NaN if one kind is missing."""
    positive, negative = int((true == 1).sum()), int((true == 0).sum())
    if not positive or not negative:
        return float("nan")
    _, inverse, counts = scores.double().unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks = (last - (counts.double() - 1) / 2)[inverse]
    return float((ranks[true == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def head_metrics(logits: dict[str, Tensor], targets: dict[str, Tensor], line_samples: Tensor) -> dict[str, float]:
    """Return the numbers of each head: accuracy and majority; outcome macro-F1; line AUROC, F1 of lines not run, whole paths.

    Args:
        logits: per head (n, classes).
        targets: per head (n,), -1 where there is none.
        line_samples: (lines,) the submission of each line.
    """
    found: dict[str, float] = {}
    for name, values in logits.items():
        known = targets[name] >= 0
        predicted, true = values.argmax(dim=-1)[known], targets[name][known]
        if not len(true):
            continue
        found[f"head_{name}_accuracy"] = accuracy(predicted, true)
        found[f"head_{name}_majority"] = majority(true)
        if name == "outcome":
            found["head_outcome_macro_f1"] = macro_f1(predicted, true)
        if name == "line":
            found["head_line_auroc"] = auroc(values[known].softmax(-1)[:, 1], true)
            found["head_line_not_run_f1"] = class_f1(predicted, true, 0)
            found["head_line_path_exact"] = _whole(predicted == true, line_samples[known])
    return found


def _whole(right: Tensor, sample: Tensor) -> float:
    wrong = set(sample[~right].tolist())
    samples = set(sample.tolist())
    return 1 - len(wrong) / len(samples)


def class_names(name: str, numbers: Sequence[int]) -> list[str]:
    """Return the names of a head's classes."""
    return [HEADS[name][number] for number in numbers]
