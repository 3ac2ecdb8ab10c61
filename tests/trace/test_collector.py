"""The bytes of a recorder are untrusted: whatever they are, a trace comes of them, and only well-formed records are in it."""

from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from traced_run import run

from codeenv.trace import Trace, collect
from codeenv.trace.blocks import MARK_BASE
from codeenv.trace.recorder import MAGIC, MARKS

SOURCE = "x = 1\nfor i in range(9):\n    x += i\nprint(x)\n"


def forged(*records: str, header: str = "{}") -> bytes:
    text = "".join(f"{record}\n" for record in (header, *records))
    return MAGIC.ljust(MARK_BASE, b"\0") + bytes(MARKS) + text.encode() + b"\0"


@given(st.binary(max_size=4000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_trace(data):
    assert collect(data, SOURCE).events == ()


def test_any_damage_to_a_record_gives_a_trace_that_can_be_written_and_read():
    data = run(SOURCE).data
    chance = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 30)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        trace = collect(bytes(damaged[: chance.randrange(len(damaged))]), SOURCE)
        assert Trace.from_jsonl(trace.to_jsonl()) == trace


def test_forged_records_are_refused_or_made_harmless():
    records = [
        '["l",99,0]',  # no such line
        '["q",1,0]',  # no such kind
        '["l",1,-1]',
        '["l",true,0]',
        '["l",1,0,{"x":5}]',
        '["l",1,0,{"x":"' + "a" * 500 + '\\u0007\\u001b[31m"}]',
        "[" * 5000,
        '["l",1,0,{},{"value":' + "9" * 5000 + "}]",
        '["x",1,0,{},{"type":"E\\nE","msg":7,"uncaught":true,"other":[1]}]',
        '["z","won"]',
    ]
    trace = collect(forged(*records), SOURCE)
    assert [event.line for event in trace.events] == [1, 1, 1]
    assert trace.events[0].vars == {}
    assert trace.events[1].vars == {"x": "a" * 200}
    assert trace.events[2].extra == {"type": "E?E", "uncaught": True}
    assert trace.footer.end == "cut"
    assert "7 records were malformed" in trace.footer.note


def test_forged_coverage_stays_within_the_source():
    header = json.dumps(
        {"blocks": [[0, 0, 1, 2], [1, 0, 77], [99999, 0, 1], "x"], "branches": [[99, 0, 1], [5, 5, 5, 5], [1, 99999, 0]]}
    )
    footer = collect(forged(header=header), SOURCE).footer
    assert footer.covered == ()
    assert footer.branches == {}


def test_an_incomplete_last_record_is_said():
    assert "the last record is incomplete" in collect(forged()[:-1] + b'["l",1,', SOURCE).footer.note
