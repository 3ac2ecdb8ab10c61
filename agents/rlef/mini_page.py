"""The demo's report: one HTML file without outside parts, with the table, the learning curve and episodes turn by turn."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from codeenv.agents.rlef.mini_run import ARMS, MiniRun
from codeenv.episode import Episode

__all__ = ["write_page"]

_SHOWN = 12

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>RLEF in miniature</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: left; }
pre { background: #f6f6f4; padding: .5rem .8rem; overflow-x: auto; margin: .3rem 0; }
details { border: 1px solid #ddd; border-radius: 6px; padding: .4rem .8rem; margin: .4rem 0; }
.del { background: #fdd; } .add { background: #dfd; } .good { color: #17692b; } .bad { color: #a12; }
</style>
<h1>RLEF in miniature</h1>
<p>A small transformer, warm-started on single programs, learns by PPO to use execution feedback. It is scored on programs and statements that it
has never seen. Every arm has three samples a problem.</p>
{% for run in runs %}
<h2>Seed {{ run.seed }}</h2>
<table><tr><th>what the policy is told</th><th>before RL</th><th>after RL</th></tr>
{% for row in run.rows %}<tr><td>{{ row[0] }}</td><td>{{ row[1] }}</td><td>{{ row[2] }}</td></tr>{% endfor %}</table>
{% if run.points %}<h3>Solve rate while learning</h3>
<svg viewBox="0 0 640 220" width="640" role="img" aria-label="solve rate by episode">
{% for tick in (0, 0.25, 0.5, 0.75, 1) %}<line x1="40" x2="630" y1="{{ 200 - 180 * tick }}" y2="{{ 200 - 180 * tick }}" stroke="#ddd"/>
<text x="4" y="{{ 205 - 180 * tick }}" font-size="12">{{ tick }}</text>{% endfor %}
<polyline fill="none" stroke="#2a6" stroke-width="2" points="{{ run.points }}"/>
<text x="300" y="217" font-size="12">{{ run.played }} episodes</text></svg>{% endif %}
{% for group in run.groups %}<h3>{{ group.title }}</h3>
{% for episode in group.episodes %}<details><summary><span class="{{ 'good' if episode.solved else 'bad' }}">{{ 'solved' if episode.solved
else 'not solved' }}</span>, {{ episode.turns | length }} turns: {{ episode.statement }}</summary>
{% for turn in episode.turns %}<p>Turn {{ loop.index }}: <b class="{{ 'good' if turn.verdict == 'accepted' else 'bad' }}">{{ turn.verdict }}</b>,
reward {{ '%+g' | format(turn.reward) }}</p>
<pre>{% for kind, text in turn.code %}<span class="{{ kind }}">{{ text }}</span>{% endfor %}</pre>
{% if turn.feedback %}<p>Feedback:</p><pre>{{ turn.feedback }}</pre>{% endif %}{% endfor %}</details>{% endfor %}{% endfor %}
{% endfor %}</html>
"""


def write_page(path: Path, runs: Sequence[MiniRun]) -> Path:
    """Write the page of some runs, finished or cut short, and return its path."""
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_PAGE)
    part = path.with_suffix(".part")
    part.write_text(template.render(runs=[_run(run) for run in runs]), encoding="utf-8")
    os.replace(part, path)
    return path


def _run(run: MiniRun) -> dict[str, Any]:
    result = run.result
    rows = []
    for arm in ARMS:
        cells = []
        for when in ("before", "after"):
            got = result.arms[when].get(arm)
            cells.append("" if got is None else f"{got.solved.value:.3f} [{got.solved.low:.3f}, {got.solved.high:.3f}]")
        rows.append((f"{arm} feedback" if arm != "independent" else "independent attempts", *cells))
    for name, value in result.references.items():
        rows.append((name.replace("_", " "), f"{value:.3f}", ""))
    rates = [metrics["solve_rate"] for metrics in result.curve]
    points = " ".join(f"{40 + 590 * i / max(1, len(rates) - 1):.1f},{200 - 180 * rate:.1f}" for i, rate in enumerate(rates))
    groups = []
    for when in ("before", "after"):
        collection = run.episodes.get((when, "true"))
        if collection is not None:
            episodes = [_episode(one.episode) for one in collection.played[:_SHOWN]]
            groups.append({"title": f"Episodes with true feedback, {when} RL", "episodes": episodes})
    played = f"{sum(int(metrics['episodes']) for metrics in result.curve):,}"
    return {"seed": result.seed, "rows": rows, "points": points, "played": played, "groups": groups}


def _episode(episode: Episode) -> dict[str, Any]:
    turns = []
    previous = None
    for turn in episode.turns:
        code = turn.source or ""
        turns.append(
            {
                "verdict": turn.outcome.verdict.value,
                "reward": turn.reward,
                "code": [("", code)] if previous is None else _difference(previous, code),
                "feedback": turn.feedback,
            }
        )
        previous = code
    solved = bool(episode.turns and episode.turns[-1].outcome.solved)
    return {"statement": episode.problem.statement, "solved": solved, "turns": turns}


def _difference(old: str, new: str) -> list[tuple[str, str]]:
    """Return the pieces of both texts in order, each marked as removed, added or kept."""
    pieces: list[tuple[str, str]] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("", new[j1:j2]))
            continue
        pieces += [("del", old[i1:i2])] if i2 > i1 else []
        pieces += [("add", new[j1:j2])] if j2 > j1 else []
    return pieces
