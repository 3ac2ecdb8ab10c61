"""The mixed learner: off is bit-identical, the mixture has the released counts, kinds are normalised apart."""

import dataclasses

import pytest
import torch

from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.alignment.miniature import FamilyBuilder, ValuesDocuments, build_tokenizer, env_config, exam, family_labels
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.trainer import Learner
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.stepcoder.masking import Masking
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.agents.trace_head.heads import head_loss
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction import Attempt, PredictionScorer, answer_text, prompt_of
from codeenv.problems.procedural import values

torch.set_num_threads(1)

TINY = MiniShape(hidden=16, feed_forward=32, layers=1, heads=2)
CONFIG = dataclasses.replace(
    MINI, episodes=8, updates=2, micro_batch=4, critic_only_iterations=0, warmup_updates=0, max_response_tokens=6, iterations=4
)
CHAT = PlainFormat(build_tokenizer())


@pytest.fixture(scope="module")
def judge():
    with Judge(workers=1, isolation="batch") as judge:
        yield judge


def make(kind=MixedLearner, config=CONFIG, critic=None, **options):
    policy = build_mini_policy(CHAT.tokenizer, TINY, seed=0)
    critic = critic or build_mini_critic(CHAT.tokenizer, TINY, seed=0)
    return kind(policy, critic, CHAT, env_config(), config, seed=0, **options)


def problems(iteration, count):
    return [values.problem(task) for task in values.sample_tasks("train", count, seed=iteration)]


def trained(learner, judge, steps=2):
    torch.manual_seed(0)
    for _ in range(steps):
        learner.step(problems, judge)
    return torch.cat([parameter.detach().flatten() for parameter in learner.policy.parameters()])


def aligned(judge, config=CONFIG, **settings):
    settings = {"fraction": 0.5, "prompt": "compact", "floor": 0.0, **settings}
    learner = make(
        config=config, alignment=AlignmentConfig(**settings), builder=FamilyBuilder(), scorer=PredictionScorer(judge),
        critic=KindCritic(build_mini_critic(CHAT.tokenizer, TINY, seed=0).trunk),
    )  # fmt: skip
    learner.buffer.push(exam("train", 16, seed=0))
    return learner


@pytest.fixture(scope="module")
def plain(judge):
    return trained(make(Learner), judge)


def head(mode, weight=0.1):
    return Auxiliary(TINY.hidden, AuxiliaryConfig(mode, weight, width=8), labeller=family_labels)


@pytest.mark.parametrize(
    "options",
    [
        lambda judge: {},
        lambda judge: {"alignment": AlignmentConfig(0.0), "builder": FamilyBuilder(), "scorer": PredictionScorer(judge)},
        lambda judge: {"auxiliary": head("probe")},
        lambda judge: {"auxiliary": head("on", 0.0)},
    ],
    ids=["nothing", "fraction 0", "a probe", "a head of weight 0"],
)
def test_what_is_off_leaves_the_policy_bit_identical(judge, plain, options):
    assert torch.equal(trained(make(**options(judge)), judge), plain)


def test_a_head_that_is_on_changes_the_policy_and_learns_itself(judge, plain):
    auxiliary = head("on")
    before = [parameter.clone() for parameter in auxiliary.head.parameters()]
    assert not torch.equal(trained(make(auxiliary=auxiliary), judge), plain)
    assert any(not torch.equal(one, other) for one, other in zip(before, auxiliary.head.parameters(), strict=True))


def test_a_probe_learns_without_touching_the_policy(judge):
    auxiliary = head("probe")
    before = [parameter.clone() for parameter in auxiliary.head.parameters()]
    trained(make(auxiliary=auxiliary), judge)
    assert any(not torch.equal(one, other) for one, other in zip(before, auxiliary.head.parameters(), strict=True))


def test_the_gradients_of_head_and_policy_are_compared_if_asked(judge):
    auxiliary = Auxiliary(TINY.hidden, AuxiliaryConfig("on", measure_every=1), labeller=family_labels)
    metrics = make(auxiliary=auxiliary).step(problems, judge)
    assert metrics["head_gradient_ratio"] > 0
    assert -1 <= metrics["head_gradient_cosine"] <= 1


def test_a_probe_measures_what_its_weight_would_inject_and_is_still_a_probe(judge, plain):
    auxiliary = Auxiliary(TINY.hidden, AuxiliaryConfig("probe", 0.5, measure_every=1), labeller=family_labels)
    assert torch.equal(trained(make(auxiliary=auxiliary), judge), plain)
    assert auxiliary.relation["head_gradient_ratio"] > 0


def test_the_gradients_are_measured_once_in_so_many_iterations():
    auxiliary = head("on")
    auxiliary._measured = 3
    assert [auxiliary.due(iteration) for iteration in (4, 12, 13, 14)] == [False, False, True, True]
    assert not Auxiliary(TINY.hidden, AuxiliaryConfig(measure_every=0)).due(0)


@pytest.mark.parametrize(("mode", "warned"), [("on", 1), ("probe", 0)])
def test_a_head_that_pulls_against_the_policy_is_warned_of_once(judge, caplog, mode, warned):
    auxiliary = head(mode)
    learner = make(auxiliary=auxiliary)
    chunks = []
    measure = auxiliary.measure

    def against(iteration, policy_loss, hidden, chunk, parameters):
        """The policy loss that wants the opposite of the head."""
        chunks.append(chunk)
        at = auxiliary._at(chunk, hidden.device)
        measure(iteration, -head_loss(auxiliary.head(hidden, at), at).sum(), hidden, chunk, parameters)

    auxiliary.measure = against
    auxiliary.due = lambda iteration: True
    found = [learner.step(problems, judge) for _ in range(2)]
    assert len(chunks) >= 4
    assert found[-1]["head_gradient_cosine"] == pytest.approx(-1.0, abs=1e-3)
    assert found[-1]["head_gradient_conflicts"] == len(chunks)
    assert [record.message.count("pulls against the policy") for record in caplog.records] == [1] * warned


def test_a_head_may_read_another_layer_and_one_that_is_not_there_is_refused(judge, plain):
    def reading(layer, layers=2):
        policy = build_mini_policy(CHAT.tokenizer, dataclasses.replace(TINY, layers=layers), seed=0)
        auxiliary = Auxiliary(TINY.hidden, AuxiliaryConfig("on", 0.5, layer=layer, measure_every=1), labeller=family_labels)
        critic = build_mini_critic(CHAT.tokenizer, TINY, seed=0)
        return MixedLearner(policy, critic, CHAT, env_config(), CONFIG, seed=0, auxiliary=auxiliary)

    learner = reading(1)
    learner.config = dataclasses.replace(CONFIG, updates=1, micro_batch=64)
    seen = []
    measure = learner.auxiliary.measure

    def noted(iteration, policy_loss, hidden, chunk, parameters):
        loss = learner.auxiliary.loss(hidden, chunk)
        seen.append(
            torch.autograd.grad(loss, learner.policy.base_model.layers[1].parameters(), retain_graph=True, allow_unused=True)
        )
        measure(iteration, policy_loss, hidden, chunk, parameters)

    learner.auxiliary.measure = noted
    learner.step(problems, judge)
    assert all(gradient is None for gradient in seen[0])  # the layer above the one that is read feels nothing
    with pytest.raises(CodeenvError, match="layer is 3, and the policy has 2"):
        reading(3)
    with pytest.raises(CodeenvError, match="layer is 2, and the policy has 1"):
        reading(2, layers=1)


def test_an_empty_buffer_gives_a_batch_of_code_alone(judge):
    learner = aligned(judge)
    learner.buffer._items.clear()
    assert learner.step(problems, judge)["episodes"] == 8


def test_alignment_prompts_take_their_share_of_the_batch(judge):
    metrics = aligned(judge).step(problems, judge)
    assert metrics["episodes"] == 4
    assert metrics["align_answers"] == 4
    assert {"align_reward", "align_exact", "align_parsed", "align_entropy", "code_entropy"} <= set(metrics)


def test_a_kind_with_few_successes_gets_no_advantage(judge):
    learner = aligned(judge, least_successes=10)
    metrics = learner.step(problems, judge)
    assert metrics["align_answers"] == 4
    assert metrics["align_advantage"] == 0.0


def test_alignment_waits_for_the_floor(judge):
    learner = aligned(judge, floor=0.5)
    assert learner.step(problems, judge)["episodes"] == 8
    assert learner.frozen
    assert learner.step(problems, judge)["episodes"] == 8


@pytest.mark.parametrize("algorithm", ["grpo", "reinforce++"])
def test_alignment_mixes_with_algorithms_without_a_critic(judge, algorithm):
    config = dataclasses.replace(CONFIG, algorithm=algorithm, group=2)
    metrics = aligned(judge, config, samples=2).step(problems, judge)
    assert metrics["episodes"] == 4
    assert metrics["align_answers"] == 4
    assert metrics["align_items"] <= 2


def test_advantages_of_tokens_are_counted_too(judge):
    metrics = aligned(judge, dataclasses.replace(CONFIG, critic_level="token"), least_successes=0).step(problems, judge)
    assert metrics["align_advantage"] > 0


def test_samples_of_one_item_share_a_group_and_no_other_does(judge):
    learner = aligned(judge, dataclasses.replace(CONFIG, algorithm="grpo", group=2), samples=2)
    learner.step(problems, judge)
    code, asked = learner._group[:4].tolist(), learner._group[4:].tolist()
    assert code[0] == code[1] != code[2] == code[3]
    assert not set(code) & set(asked)


def test_a_random_mask_control_keeps_as_many_tokens(judge):
    kept = []
    for mode in ("coverage", "random"):
        learner = make(masking=Masking(MaskConfig(mode=mode)))
        kept.append(learner.step(problems, judge)["mask_kept"])
    assert kept[0] == kept[1]


def test_a_mean_over_episodes_is_divided_by_the_tokens_that_each_keeps(judge):
    config = dataclasses.replace(CONFIG, algorithm="grpo", group=2)

    class HalfMasked(Masking):
        def masks(self, played, chat, judge):
            found = super().masks(played, chat, judge)
            return [[[bool(place % 2) for place in range(len(turn))] for turn in turns] for turns in found]

    learner = make(config=config, masking=HalfMasked(MaskConfig()))
    metrics = learner.step(problems, judge)
    weights = learner._token_weight
    assert 0 < metrics["mask_kept"] < 1
    assert float(weights.sum()) == pytest.approx(len(weights), rel=1e-4)
    assert int((weights == 0).sum()) == round((1 - metrics["mask_kept"]) * len(weights))


def test_the_state_of_alignment_goes_through_a_checkpoint(judge):
    learner, other = aligned(judge), aligned(judge)
    learner.buffer.push(exam("train", 8, seed=5))
    learner.buffer.sample(3)
    learner.frozen = exam("train", 2, seed=1)
    other.load_more_state(learner.more_state())
    assert len(other.buffer) == 24
    assert [item.id for item in other.buffer.sample(6)] == [item.id for item in learner.buffer.sample(6)]
    assert [item.id for item in other.frozen] == [item.id for item in learner.frozen]


def test_the_released_rules_ask_about_the_first_test_and_each_input_and_output_once():
    tasks = values.sample_tasks("train", 40, seed=3)
    attempts = [
        Attempt(values.problem(task), other.program.source, passed=False, test=1)
        for task, other in zip(tasks, values.sample_tasks("train", 40, seed=4), strict=True)
    ]
    ours, released = (FamilyBuilder(released=rules).build(attempts * 2).items for rules in (False, True))
    assert len(ours) == 40
    assert len({(item.test.args, item.output) for item in released}) == len(released) <= 40
    assert {item.problem.public_tests.index(item.test) for item in ours} == {1}
    assert {item.problem.public_tests.index(item.test) for item in released} == {0}


@pytest.mark.parametrize("kind", ["state", "repair", "test_output"])
def test_the_familys_items_are_answered_by_their_own_answers(judge, kind):
    items = exam("report", 20, seed=0, kind=kind)
    scores = PredictionScorer(judge).score(items, [answer_text(item) for item in items])
    assert all(score.exact for score in scores)
    assert all(prompt_of(item, "compact").count("MASKED_LINE_1") == (kind == "repair") for item in items)


def test_documents_hold_no_input_of_another_split():
    held = {values.inputs_text(inputs) for inputs in values.input_domain() if values.split_of(inputs) != "train"}
    for document in ValuesDocuments(CHAT, seed=0)(300):
        text = CHAT.tokenizer.decode(document.ids)
        assert not [inputs for inputs in held if inputs in text]


def test_alignment_without_a_scorer_is_refused():
    with pytest.raises(CodeenvError, match="scorer"):
        make(alignment=AlignmentConfig())


def test_the_kind_critic_is_the_plain_critic_for_code():
    plain = build_mini_critic(CHAT.tokenizer, TINY, seed=0)
    critic = KindCritic(plain.trunk)
    critic.head.load_state_dict(plain.head.state_dict())
    from codeenv.agents.lm.scoring import build_batch
    from codeenv.agents.lm.tokens import TokenConversation

    conversation = TokenConversation()
    conversation.add_environment([5, 6, 7])
    conversation.add_response([8, 1], [0.0, 0.0], "stop")
    batch = build_batch([conversation], pad_id=0)
    with torch.no_grad():
        assert torch.equal(critic.of_kind(batch, torch.tensor([0])), plain(batch))
