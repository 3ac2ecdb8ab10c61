# ruff: noqa: E501  (a table: one row a step)
"""The steps that everyday functions are made of: typed, with wordings, near misses and a weight for difficulty.

A program is a chain of steps in which each takes the type that the one before returns. `{x}` stands for the value, `{k}` for the
step's number or letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["STEPS", "VAGUE", "Kind", "Step"]

Kind: TypeAlias = Literal["ints", "int", "text", "words", "counts", "bool"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain.

    Attributes:
        takes, gives: types of the value before and after.
        code: a Python expression of `{x}`.
        wordings: what the statement says, imperative, without a full stop.
        near: plausible wrong expressions.
        weight: contribution to the difficulty, 1 (trivial) to 4.
        numbers: values of `{k}`; empty if the step has none.
    """

    takes: Kind
    gives: Kind
    code: str
    wordings: tuple[str, ...]
    near: tuple[str, ...]
    weight: int = 1
    numbers: tuple[int | str, ...] = ()


VAGUE: dict[tuple[Kind, Kind], str] = {
    ("ints", "ints"): "change the list in a way that the tests show",
    ("ints", "int"): "reduce the list to one number as the tests show",
    ("int", "int"): "turn the number into another one as the tests show",
    ("int", "ints"): "derive a list from the number as the tests show",
    ("int", "bool"): "test the number for a property that the tests show",
    ("int", "text"): "write the number as the tests show",
    ("text", "text"): "rewrite the text as the tests show",
    ("text", "int"): "count something in the text that the tests show",
    ("text", "bool"): "test the text for a property that the tests show",
    ("text", "words"): "split the text as the tests show",
    ("text", "counts"): "count parts of the text as the tests show",
    ("words", "words"): "change the list of words as the tests show",
    ("words", "int"): "count something about the words that the tests show",
    ("words", "text"): "make one text of the words as the tests show",
    ("words", "counts"): "build a dictionary from the words as the tests show",
    ("counts", "counts"): "change the dictionary as the tests show",
    ("counts", "int"): "reduce the dictionary to one number as the tests show",
    ("counts", "words"): "list some of the keys as the tests show",
    ("counts", "text"): "choose one key as the tests show",
}
"""What a statement says instead of a step that it leaves open."""

_SMALL = (2, 3, 4, 5)
_LIMITS = (-3, 0, 2, 5, 10)

_INTS = (
    Step("ints", "ints", "[n for n in {x} if n % 2 == 0]", ("keep only the even numbers", "drop the odd numbers"),
         ("[n for n in {x} if n % 2 == 1]", "[n for n in {x} if n % 2 == 0 and n != 0]")),
    Step("ints", "ints", "[n for n in {x} if n > {k}]", ("keep only the numbers greater than {k}", "drop every number that is {k} or less"),
         ("[n for n in {x} if n >= {k}]", "[n for n in {x} if n < {k}]"), 1, _LIMITS),
    Step("ints", "ints", "[n for n in {x} if n < {k}]", ("keep only the numbers below {k}",), ("[n for n in {x} if n <= {k}]",), 1, _LIMITS),
    Step("ints", "ints", "[n for n in {x} if n % {k} == 0]", ("keep only the multiples of {k}", "keep the numbers divisible by {k}"),
         ("[n for n in {x} if n % {k} != 0]", "[n for n in {x} if n % {k} == 0 and n > 0]"), 1, _SMALL),
    Step("ints", "ints", "{x}[::2]", ("keep the numbers at even positions (the first has position 0)", "keep every second number, starting with the first"),
         ("{x}[1::2]",)),
    Step("ints", "ints", "{x}[:{k}]", ("keep the first {k} numbers (all, if there are fewer)",), ("{x}[-{k}:]", "{x}[{k}:]"), 1, _SMALL),
    Step("ints", "ints", "{x}[-{k}:]", ("keep the last {k} numbers (all, if there are fewer)",), ("{x}[:{k}]", "{x}[-{k}:-1]"), 2, _SMALL),
    Step("ints", "ints", "list(dict.fromkeys({x}))", ("remove repeated numbers, keeping the first of each",),
         ("sorted(set({x}))", "[n for n in {x} if {x}.count(n) == 1]"), 2),
    Step("ints", "ints", "[n * {k} for n in {x}]", ("multiply each number by {k}",), ("[n + {k} for n in {x}]",), 1, _SMALL),
    Step("ints", "ints", "[n + {k} for n in {x}]", ("add {k} to each number",), ("[n - {k} for n in {x}]",), 1, (1, 2, 3, 7)),
    Step("ints", "ints", "[n * n for n in {x}]", ("square each number",), ("[n * 2 for n in {x}]",)),
    Step("ints", "ints", "[abs(n) for n in {x}]", ("replace each number by its absolute value",), ("[-n for n in {x}]",)),
    Step("ints", "ints", "sorted({x})", ("sort the numbers in ascending order",), ("sorted({x}, reverse=True)", "{x}")),
    Step("ints", "ints", "sorted({x}, reverse=True)", ("sort the numbers from largest to smallest",), ("sorted({x})", "{x}[::-1]")),
    Step("ints", "ints", "sorted({x}, key=lambda n: (abs(n), n))",
         ("sort the numbers by absolute value; of equal ones the negative comes first",), ("sorted({x}, key=abs)", "sorted({x})"), 3),
    Step("ints", "ints", "{x}[::-1]", ("reverse the list",), ("sorted({x}, reverse=True)",)),
    Step("ints", "ints", "[sum({x}[: i + 1]) for i in range(len({x}))]", ("replace each number by the sum of all numbers up to it",),
         ("[sum({x}[:i]) for i in range(len({x}))]",), 3),
    Step("ints", "ints", "[b - a for a, b in zip({x}, {x}[1:])]", ("replace the list by the differences between each number and the one before it",),
         ("[a - b for a, b in zip({x}, {x}[1:])]",), 3),
    Step("ints", "ints", "[max({x}[: i + 1]) for i in range(len({x}))]", ("replace each number by the largest number up to it",),
         ("[max({x}[i:]) for i in range(len({x}))]",), 3),
    Step("ints", "ints", "{x}[{k} % len({x}) :] + {x}[: {k} % len({x})] if {x} else []", ("rotate the list to the left by {k} places",),
         ("{x}[-{k}:] + {x}[:-{k}]", "{x}[{k}:] + {x}[:{k}]"), 3, (2, 3, 4)),
    Step("ints", "int", "sum({x})", ("return the sum", "return the sum of the numbers (0 for none)"), ("len({x})", "sum({x}[1:])")),
    Step("ints", "int", "len({x})", ("return how many numbers there are",), ("len(set({x}))",)),
    Step("ints", "int", "max({x}, default=0)", ("return the largest number, or 0 if there is none",), ("max({x})", "min({x}, default=0)")),
    Step("ints", "int", "min({x}, default=-1)", ("return the smallest number, or -1 if there is none",), ("min({x}, default=0)",), 2),
    Step("ints", "int", "max({x}) - min({x}) if {x} else 0", ("return the difference between the largest and the smallest number (0 for an empty list)",),
         ("max({x}) - min({x})", "{x}[-1] - {x}[0] if {x} else 0"), 2),
    Step("ints", "int", "sorted(set({x}))[-2] if len(set({x})) > 1 else -1", ("return the second largest distinct number, or -1 if there is none",),
         ("sorted({x})[-2] if len({x}) > 1 else -1",), 3),
    Step("ints", "int", "sum({x}) // len({x}) if {x} else 0", ("return the average, rounded down (0 for an empty list)",),
         ("int(sum({x}) / len({x})) if {x} else 0", "sum({x}) // len({x})"), 2),
    Step("ints", "int", "sum(a < b for a, b in zip({x}, {x}[1:]))", ("return how often a number is smaller than the one right after it",),
         ("sum(a <= b for a, b in zip({x}, {x}[1:]))",), 3),
    Step("ints", "int", "max((({x}.count(n), -n) for n in {x}), default=(0, 0))[1] * -1",
         ("return the number that occurs most often, the smallest of several such, or 0 if the list is empty",),
         ("max({x}, key={x}.count)", "max((({x}.count(n), n) for n in {x}), default=(0, 0))[1]"), 4),
)  # fmt: skip

_INT = (
    Step("int", "int", "{x} + {k}", ("add {k} to the number",), ("{x} - {k}",), 1, (1, 2, 3, 10)),
    Step("int", "int", "{x} * {k}", ("multiply the number by {k}",), ("{x} + {k}",), 1, _SMALL),
    Step("int", "int", "{x} * {x}", ("square the number",), ("{x} * 2",)),
    Step("int", "int", "abs({x})", ("take the absolute value",), ("-{x}",)),
    Step("int", "int", "{x} % {k}", ("take the remainder of dividing by {k} (never negative)",), ("{x} // {k}", "abs({x}) % {k}"), 1, (2, 3, 7, 10)),
    Step("int", "int", "sum(int(d) for d in str(abs({x})))", ("take the sum of the decimal digits",), ("len(str(abs({x})))",), 2),
    Step("int", "int", "int(str(abs({x}))[::-1])", ("reverse the decimal digits, ignoring the sign",), ("int(str({x})[::-1].strip('-')) + 1",), 2),
    Step("int", "int", "bin(abs({x})).count('1')", ("count the ones in the binary form of the absolute value",), ("len(bin(abs({x}))) - 2",), 3),
    Step("int", "int", "sum(1 for d in range(1, {x} + 1) if {x} % d == 0)", ("count the positive divisors (0 for numbers below 1)",),
         ("sum(1 for d in range(1, {x}) if {x} % d == 0)",), 3),
    Step("int", "int", "sum(range(1, {x} + 1))", ("take the sum of the whole numbers from 1 to the number (0 if it is below 1)",), ("sum(range(1, {x}))",), 2),
    Step("int", "int", "max(min({x}, {k}), 0)", ("limit the number to the range from 0 to {k}",), ("min({x}, {k})", "max({x}, 0)"), 2, (5, 10, 20)),
    Step("int", "ints", "list(range(1, {x} + 1))", ("make the list of the whole numbers from 1 to the number",), ("list(range({x}))", "list(range(1, {x}))"), 2),
    Step("int", "ints", "[d for d in range(1, {x} + 1) if {x} % d == 0]", ("make the list of its positive divisors in ascending order",),
         ("[d for d in range(2, {x} + 1) if {x} % d == 0]",), 3),
    Step("int", "ints", "[int(d) for d in str(abs({x}))]", ("make the list of its decimal digits",), ("[int(d) for d in str(abs({x}))][::-1]",), 2),
    Step("int", "bool", "{x} % 2 == 0", ("return whether the number is even",), ("{x} % 2 == 1",)),
    Step("int", "bool", "{x} > {k}", ("return whether the number is greater than {k}",), ("{x} >= {k}",), 1, _LIMITS),
    Step("int", "bool", "{x} > 1 and all({x} % d for d in range(2, {x}))", ("return whether the number is prime",),
         ("all({x} % d for d in range(2, {x}))",), 3),
    Step("int", "bool", "str(abs({x})) == str(abs({x}))[::-1]", ("return whether its digits read the same in both directions",),
         ("str({x}) == str({x})[::-1]",), 2),
    Step("int", "text", "str({x})", ("write the number as text",), ("str(abs({x}))",)),
)  # fmt: skip

_TEXT = (
    Step("text", "text", "{x}[::-1]", ("reverse the text",), ("' '.join({x}.split()[::-1])",)),
    Step("text", "text", "{x}.upper()", ("turn all letters into upper case",), ("{x}.lower()", "{x}.title()")),
    Step("text", "text", "{x}.lower()", ("turn all letters into lower case",), ("{x}.upper()",)),
    Step("text", "text", "''.join(c for c in {x} if c not in 'aeiouAEIOU')", ("remove all vowels",),
         ("''.join(c for c in {x} if c not in 'aeiou')", "''.join(c for c in {x} if c in 'aeiouAEIOU')"), 2),
    Step("text", "text", "''.join(c for c in {x} if c.isalpha())", ("remove everything that is not a letter",), ("''.join(c for c in {x} if c.isalnum())",), 2),
    Step("text", "text", "{x}.replace(' ', '_')", ("replace each space with an underscore",), ("'_'.join({x}.split())",)),
    Step("text", "text", "{x}[:{k}]", ("keep the first {k} characters",), ("{x}[-{k}:]", "{x}[: {k} - 1]"), 1, _SMALL),
    Step("text", "text", "''.join(sorted({x}))", ("sort the characters by their code",), ("''.join(sorted({x}, key=str.lower))",), 2),
    Step("text", "text", "''.join(c * 2 for c in {x})", ("double every character",), ("{x} * 2",)),
    Step("text", "text", "' '.join({x}.split())", ("remove spaces at both ends and turn every run of spaces into one",), ("{x}.strip()",), 2),
    Step("text", "text", "''.join(dict.fromkeys({x}))", ("remove repeated characters, keeping the first of each",), ("''.join(sorted(set({x})))",), 2),
    Step("text", "int", "len({x})", ("return the number of characters",), ("len({x}.replace(' ', ''))",)),
    Step("text", "int", "sum(c in 'aeiouAEIOU' for c in {x})", ("return the number of vowels in either case",), ("sum(c in 'aeiou' for c in {x})",), 2),
    Step("text", "int", "{x}.count('{k}')", ("return how often the letter '{k}' occurs",), ("{x}.lower().count('{k}')", "int('{k}' in {x})"), 1, ("a", "e", "o", "t")),
    Step("text", "int", "sum(c.isupper() for c in {x})", ("return the number of upper-case letters",), ("sum(c.islower() for c in {x})",)),
    Step("text", "bool", "{x} == {x}[::-1]", ("return whether the text reads the same in both directions",), ("{x}.lower() == {x}.lower()[::-1]",), 2),
    Step("text", "words", "{x}.split()", ("split the text into words at spaces",), ("{x}.split(' ')", "list({x})")),
    Step("text", "counts", "{{c: {x}.count(c) for c in {x} if c != ' '}}", ("make a dictionary from each character but the space to its number of occurrences",),
         ("{{c: {x}.count(c) for c in {x}}}", "{{c: 1 for c in {x} if c != ' '}}"), 2),
)  # fmt: skip

_WORDS = (
    Step("words", "words", "[w for w in {x} if len(w) > {k}]", ("keep the words longer than {k} characters",), ("[w for w in {x} if len(w) >= {k}]",), 1, _SMALL),
    Step("words", "words", "[w.capitalize() for w in {x}]", ("capitalise each word (first letter upper case, the rest lower case)",), ("[w.upper() for w in {x}]", "[w[:1].upper() + w[1:] for w in {x}]")),
    Step("words", "words", "sorted({x}, key=lambda w: (len(w), w))", ("sort the words by length, words of one length by character code",), ("sorted({x})", "sorted({x}, key=len)"), 3),
    Step("words", "words", "sorted({x})", ("sort the words by character code",), ("sorted({x}, key=str.lower)", "sorted({x}, key=len)")),
    Step("words", "words", "[w[::-1] for w in {x}]", ("reverse every word",), ("{x}[::-1]",)),
    Step("words", "words", "list(dict.fromkeys({x}))", ("remove repeated words, keeping the first of each",), ("sorted(set({x}))",), 2),
    Step("words", "int", "len({x})", ("return the number of words",), ("len(set({x}))",)),
    Step("words", "int", "max((len(w) for w in {x}), default=0)", ("return the length of the longest word, 0 if there is none",), ("max(len(w) for w in {x})",), 2),
    Step("words", "text", "' '.join({x})", ("join the words with single spaces",), ("''.join({x})",)),
    Step("words", "text", "'-'.join({x})", ("join the words with hyphens",), ("'_'.join({x})",)),
    Step("words", "text", "max({x}, key=len, default='')", ("return the longest word (the first of several, an empty text if there is none)",), ("max({x}, key=len)", "max({x}, default='')"), 2),
    Step("words", "text", "''.join(w[0] for w in {x} if w).upper()", ("return the initials in upper case, without spaces",), ("''.join(w[0] for w in {x} if w)",), 2),
    Step("words", "counts", "{{w: {x}.count(w) for w in {x}}}", ("make a dictionary from each word to the number of its occurrences",), ("{{w: len(w) for w in {x}}}",), 2),
    Step("words", "counts", "{{w: len(w) for w in {x}}}", ("make a dictionary from each word to its length",), ("{{w: {x}.count(w) for w in {x}}}",), 2),
)  # fmt: skip

_COUNTS = (
    Step("counts", "counts", "{{key: value for key, value in {x}.items() if value > {k}}}", ("keep the entries with a value greater than {k}",),
         ("{{key: value for key, value in {x}.items() if value >= {k}}}",), 2, (0, 1, 2, 3)),
    Step("counts", "counts", "{{key: value + {k} for key, value in {x}.items()}}", ("add {k} to every value",), ("{{key: value * {k} for key, value in {x}.items()}}",), 1, (1, 2, 5)),
    Step("counts", "int", "sum({x}.values())", ("return the sum of the values",), ("len({x})",)),
    Step("counts", "int", "max({x}.values(), default=0)", ("return the largest value, 0 if there is none",), ("max({x}.values())",)),
    Step("counts", "words", "sorted({x})", ("return the keys in alphabetical order",), ("list({x})",)),
    Step("counts", "words", "sorted({x}, key=lambda key: (-{x}[key], key))", ("return the keys by falling value, keys of one value in alphabetical order",),
         ("sorted({x}, key=lambda key: ({x}[key], key))", "sorted({x}, key={x}.get, reverse=True)"), 3),
    Step("counts", "text", "min({x}, key=lambda key: (-{x}[key], key), default='')", ("return the key with the largest value (the alphabetically first of several, an empty text if there is none)",),
         ("max({x}, key={x}.get, default='')", "max({x}, default='')"), 3),
)  # fmt: skip

STEPS: tuple[Step, ...] = (*_INTS, *_INT, *_TEXT, *_WORDS, *_COUNTS)
"""All steps."""
