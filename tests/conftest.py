"""Problems and a judge that several test modules share."""

import signal

import pytest
from sample_problems import ADD_ONE, ECHO

from codeenv.judge import Judge

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a background job's children would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def judge():
    with Judge(sandbox="local", workers=2) as judge:
        yield judge


@pytest.fixture
def problems():
    return [ADD_ONE, ECHO]
