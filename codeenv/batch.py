"""Many episodes at once: every turn of the whole batch is judged together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from codeenv.episode import EnvConfig, Episode, Observation, Step
from codeenv.judge import Judge, JudgeRequest
from codeenv.judge.verdict import Report, Verdict
from codeenv.problems import Problem

__all__ = ["EpisodeBatch"]


class EpisodeBatch:
    """Episodes that advance together; the programs of a turn are judged in parallel.

    Args:
        problems: one problem per episode.
        judge: judges all of them.
        config: the task's settings.

    Attributes:
        episodes: the states, in the order of `problems`.
    """

    def __init__(self, problems: Sequence[Problem], judge: Judge, config: EnvConfig | None = None) -> None:
        self.judge = judge
        self.config = config or EnvConfig()
        self.episodes = [Episode(problem, self.config) for problem in problems]

    @property
    def observations(self) -> list[Observation]:
        """What each episode's agent sees now."""
        return [episode.observation() for episode in self.episodes]

    @property
    def live(self) -> list[int]:
        """The indices of the episodes that go on."""
        return [index for index, episode in enumerate(self.episodes) if not episode.done]

    def step(self, responses: Mapping[int, str]) -> dict[int, Step]:
        """Do one turn of the episodes whose index has a response.

        Raises:
            CodeenvError: if a response is not text or an episode has ended; no episode has moved then.
        """
        judged = self.judge_responses(responses)
        return {index: self.episodes[index].advance(response, *judged[index]) for index, response in responses.items()}

    def judge_responses(self, responses: Mapping[int, str]) -> dict[int, tuple[str | None, Report, Report | None]]:
        """Return the program of each response, its public report, and the private one if it is time for it. No episode moves.

        Raises:
            CodeenvError: if a response is not text or an episode has ended.
        """
        sources = {index: self.episodes[index].source(response) for index, response in responses.items()}
        publics = self._judge(sources, "public")
        private_of = {index: sources[index] for index, report in publics.items() if self.episodes[index].wants_private(report)}
        privates = self._judge(private_of, "private")
        return {index: (sources[index], publics[index], privates.get(index)) for index in responses}

    def _judge(self, sources: Mapping[int, str | None], tests: Literal["public", "private"]) -> dict[int, Report]:
        reports: dict[int, Report] = {}
        requests: list[JudgeRequest] = []
        asked: list[int] = []
        level = self.judge.isolation_level
        for index, source in sources.items():
            problem = self.episodes[index].problem
            if source is None:
                reports[index] = Report(problem.id, Verdict.NO_CODE, (), "the response holds no program", level)
            elif not problem.tests(tests):
                reports[index] = Report(problem.id, Verdict.ACCEPTED, (), "", level)
            else:
                trace = "bounded" if tests == "public" and self.config.trace != "off" else "off"
                requests.append(JudgeRequest(problem, source, tests=tests, trace=trace))
                asked.append(index)
        reports.update(zip(asked, self.judge.judge_many(requests), strict=True))
        return reports
