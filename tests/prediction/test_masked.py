"""Masked lines as a kind of task: any line that does the same is right, and the switch of a training run is one share."""

import pytest

from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.rlef.build import build_learner
from codeenv.agents.rlef.run_config import TrainConfig, read_config
from codeenv.errors import CodeenvError
from codeenv.prediction import Attempt, PredictionScorer, answer_text
from codeenv.prediction.masked import MaskingBuilder
from codeenv.prediction.scoped import ScopedBuilder, ScopedConfig
from codeenv.problems import CallTest, Problem

PROBLEM = Problem(
    "test/third", "s", "call", "f", public_tests=(CallTest(([5, 6, 7],), {}, 0),), private_tests=(CallTest(([99, 1],), {}, 0),)
)  # fmt: skip
SOURCE = "def f(x):\n    k = 2\n    y = x[k] + k\n    return y\n"
CHAT = PlainFormat(build_piece_tokenizer(["def f(x):\n"], max_length=256))
TINY = MiniShape(hidden=16, feed_forward=32, layers=1, heads=2, context=256)


def builder(judge, share, seed=0):
    return MaskingBuilder(ScopedBuilder(judge, ScopedConfig(drop_trivial=False, per_problem=99, per_program=99)), share, seed)


def attempts(count=1, end=""):
    return [Attempt(PROBLEM, SOURCE + f"# {number}\n{end}", passed=False) for number in range(count)]


def test_a_share_of_zero_changes_nothing(judge):
    plain = ScopedBuilder(judge, ScopedConfig(drop_trivial=False)).build(attempts())
    assert builder(judge, 0.0).build(attempts()).items == plain.items


def test_a_repair_hides_the_line_and_its_line_scores_full_marks(judge):
    item = builder(judge, 1.0).build(attempts()).items[0]
    assert (item.kind, item.output, item.names) == ("repair", 9, ())
    assert item.masked[0] not in item.code
    assert PredictionScorer(judge).score([item], [answer_text(item)])[0].exact
    assert not PredictionScorer(judge).score([item], ['{"lines": ["    pass"]}'])[0].exact


def test_choices_are_seeded_and_go_through_a_checkpoint(judge):
    one, other = (builder(judge, 0.5, seed=3) for _ in range(2))
    one.build(attempts(2))
    other.load_dict(one.to_dict())
    many = [Attempt(PROBLEM, SOURCE.replace("2", str(number % 3)), passed=False) for number in range(6)]
    assert [item.id for item in other.build(many).items] == [item.id for item in one.build(many).items]


@pytest.mark.parametrize(("share", "kinds"), [(0.0, 1), (0.5, 2)])
def test_repairs_come_with_their_switch_alone_and_have_a_value_of_their_own(judge, share, kinds):
    config = TrainConfig(alignment=AlignmentConfig(fraction=0.5, repairs=share))
    policy = build_mini_policy(CHAT.tokenizer, TINY, seed=0)
    made = build_learner(config, policy, build_mini_critic(CHAT.tokenizer, TINY, seed=0), CHAT, judge)
    assert isinstance(made.builder, MaskingBuilder) == bool(share)
    assert isinstance(made.critic, KindCritic)
    assert len(made.critic.heads) == kinds


@pytest.mark.parametrize(("text", "said"), [("repairs: 2.0", "repairs"), ("mode: official, repairs: 0.5", "official")])
def test_wrong_settings_are_refused_with_their_name(tmp_path, text, said):
    path = tmp_path / "bad.yaml"
    path.write_text("alignment: {" + text + "}\n")
    with pytest.raises(CodeenvError, match=said):
        read_config(path)
