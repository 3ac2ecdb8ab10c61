"""Predicting what programs do: items, prompts, answers, scores, and environments of one turn over them.

An item asks about one run of a program on a public test; the truth stays in the item. May import the judge, the trace and
everything below; agents and trainers import it.
"""

from codeenv.prediction.attempt import Attempt, Built, ItemBuilder
from codeenv.prediction.item import KINDS, PredictionItem
from codeenv.prediction.prompt import answer_text, prompt_of
from codeenv.prediction.score import PredictionScorer, Score

__all__ = [
    "KINDS",
    "Attempt",
    "Built",
    "ItemBuilder",
    "PredictionItem",
    "PredictionScorer",
    "Score",
    "answer_text",
    "prompt_of",
]
