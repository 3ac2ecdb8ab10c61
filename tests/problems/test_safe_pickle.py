"""Pickles of plain data load; all others are refused with a sentence, without the memory or the code that they ask for."""

import base64
import json
import pickle
import struct
import zlib
from pathlib import Path

import pytest

from codeenv.problems import ProblemError, load
from codeenv.problems.loaders.safe_pickle import load_plain_pickle

FAR = 0x3FFFFFFF
REFUSED = {
    "a far place in binary": (b"]r" + struct.pack("<I", FAR) + b".", f"stores an object at place {FAR}"),
    "a far place in text": (b"]p%d\n." % FAR, f"stores an object at place {FAR}"),
    "a place before the first": (b"]p-1\n.", "stores an object at place -1"),
    "an unknown operation": (b"]\xff.", "opcode"),
    "no end": (b"]", "exhausted"),
    "a text longer than the data": (b"\x8d" + struct.pack("<Q", 1 << 40) + b"x.", "refused"),
    "nothing to return": (b".", "refused"),
    "a place that was never filled": (b"h\x05.", "refused"),
    "a far place that was never filled": (b"g" + b"9" * 30 + b"\n.", "refused"),
    "a function": (pickle.dumps(print), "it names builtins.print"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_plain_data_is_refused(case: str) -> None:
    data, reason = REFUSED[case]
    with pytest.raises(ProblemError, match="the pickle is refused") as caught:
        load_plain_pickle(data)
    assert reason in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [[], "", [{"input": str(number), "output": ["x"] * 3} for number in range(500)]])
def test_plain_data_loads_from_every_protocol(value: object, protocol: int) -> None:
    assert load_plain_pickle(pickle.dumps(value, protocol)) == value


def test_a_row_whose_packed_tests_ask_for_16_gb_is_a_sentence(tmp_path: Path) -> None:
    packed = base64.b64encode(zlib.compress(REFUSED["a far place in binary"][0])).decode()
    row = {"question_id": "1", "question_content": "c", "public_test_cases": "[]", "private_test_cases": packed}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(ProblemError, match=r"row 1: field 'private_test_cases': the pickle is refused"):
        load(f"livecodebench:{path}")
