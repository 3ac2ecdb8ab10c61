"""Problems and a judge that several test modules share."""

import pytest
from sample_problems import ADD_ONE, ECHO

from codeenv.judge import Judge


@pytest.fixture(scope="session")
def judge():
    with Judge(sandbox="local", workers=2) as judge:
        yield judge


@pytest.fixture
def problems():
    return [ADD_ONE, ECHO]
