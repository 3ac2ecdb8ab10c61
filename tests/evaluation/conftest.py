"""Two made-up runs that several test modules share."""

import pytest
from made_runs import random_episodes, write_run


@pytest.fixture
def two_runs(tmp_path):
    """Two runs of 60 episodes: one of an agent that repairs, one of an agent that does not."""
    return {
        "repairs": write_run(tmp_path / "repairs", random_episodes(60, 0.6, problems=20)),
        "guesses": write_run(tmp_path / "guesses", random_episodes(60, 0.2, problems=20, seed=1)),
    }
