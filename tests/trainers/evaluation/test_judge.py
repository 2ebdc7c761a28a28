import dataclasses

import numpy as np
import pytest
import torch

from tdmr1.core.generator import Prompt
from tdmr1.rewards.errors import (
    RewardError,
    RewardOptionInvalid,
    RewardRefused,
    RewardsAllAbstain,
)
from tdmr1.trainers.evaluation.judge import DECODED, Judge
from tdmr1.trainers.images import to_uint8

PROMPTS = [Prompt("a red one", {"tag": "red"}), Prompt("a blue one", {"tag": "blue"})]
CPU = torch.device("cpu")


def judged(judge, generator, latents, prompts):
    return judge.result(judge.submit(generator, latents, prompts))


def test_outcomes_become_feedback_with_weights_and_masks(generator, reward):
    judge = Judge([reward("red"), f"{reward('blue')}=0.5"])
    latents = torch.full((2, 3, 4, 4), 100.0)  # white
    red, blue = judge.feedback(judged(judge, generator, latents, PROMPTS))
    assert (red.weight, blue.weight) == (1.0, 0.5)
    assert red.values.tolist() == [1, 1]
    assert red.scored.tolist() == [True, True]
    assert blue.scored.tolist() == [False, True]
    assert blue.values.isfinite().all()


def test_gates_hold_samples_back_for_every_reward_and_give_no_feedback(generator, reward):
    gates = [f"{reward('red')}>0.9", f"{reward('blue')}>0.9"]
    judge = Judge([reward("red")], gates=gates)
    latents = torch.stack([torch.full((3, 4, 4), x) for x in (100.0, -100.0, -100.0)])
    judgement = judged(judge, generator, latents, [PROMPTS[0], *PROMPTS])
    assert list(judgement.outcomes) == [reward("red"), reward("blue")]
    assert {gate: closed.tolist() for gate, closed in judgement.closed.items()} == {
        gates[0]: [False, True, True],
        gates[1]: [False, False, True],
    }
    (feedback,) = judge.feedback(judgement)
    assert feedback.name == reward("red")
    assert feedback.gated.tolist() == [False, True, True]


def test_without_gates_nothing_is_held_back(generator, reward):
    judge = Judge([reward("red")])
    (feedback,) = judge.feedback(judged(judge, generator, torch.zeros(2, 3, 4, 4), PROMPTS))
    assert feedback.gated is None


def test_where_lower_is_better_training_climbs_down(generator, reward):
    judge = Judge([reward("red")])
    place = judge.mix.scorers[reward("red")].place
    place.info = dataclasses.replace(place.info, higher_is_better=False)
    latents = torch.stack([torch.full((3, 4, 4), x) for x in (100.0, -100.0)])
    judgement = judged(judge, generator, latents, PROMPTS)
    assert judgement.outcomes[reward("red")].values.tolist() == [1, 0]
    assert judge.feedback(judgement)[0].values.tolist() == [-1, 0]


def test_the_share_that_a_cache_knew_is_of_this_batch(generator, reward, tmp_path):
    judge = Judge([reward("red")], cache=str(tmp_path / "c.sqlite"))
    latents = torch.stack([torch.full((3, 4, 4), x) for x in (0.0, 0.5, 1.0, 1.5)])
    prompts = PROMPTS[:1] * 4
    shares = [judged(judge, generator, latents[:n], prompts[:n]).cache_hits for n in (3, 4, 4)]
    assert [share[reward("red")] for share in shares] == [0, 0.75, 1]
    assert (
        judged(judge, generator, latents, prompts).outcomes[reward("red")].values[0] == 128 / 255
    )
    assert judged(Judge([reward("red")]), generator, latents, prompts).cache_hits == {}


def test_batches_larger_than_a_decoding_keep_their_order(generator, reward):
    count = DECODED + 3
    latents = torch.linspace(-2, 2, count).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    outcomes = judged(Judge([reward("red")]), generator, latents, PROMPTS[:1] * count).outcomes
    values = outcomes[reward("red")].values
    assert len(values) == count
    assert (np.diff(values) >= 0).all()


def test_no_reward_is_refused():
    with pytest.raises(RewardError, match="no reward is selected; name one"):
        Judge([])


def test_options_reach_the_reward_that_they_are_for(generator, reward):
    name = reward("bright")
    latents = torch.full((2, 3, 4, 4), 100.0)  # white
    judge = Judge([f"{name}=0.5", reward("red")], options={name: {"gain": 3}})
    outcomes = judged(judge, generator, latents, PROMPTS).outcomes
    assert outcomes[name].values.tolist() == [3, 3]
    assert outcomes[reward("red")].values.tolist() == [1, 1]


def test_the_reward_of_a_gate_has_options_too(generator, reward):
    name = reward("bright")
    judge = Judge([reward("red")], options={name: {"gain": 3}}, gates=[f"{name}>2"])
    latents = torch.stack([torch.full((3, 4, 4), x) for x in (100.0, -100.0)])
    closed = judged(judge, generator, latents, PROMPTS).closed
    assert [mask.tolist() for mask in closed.values()] == [[False, True]]


def test_an_unknown_option_lists_those_there_are(reward):
    name = reward("bright")
    with pytest.raises(RewardOptionInvalid, match=r"no option 'gian'; .*gain = 1\.0"):
        Judge([name], options={name: {"gian": 3}})


def test_options_of_a_reward_that_is_not_selected_are_refused(reward):
    with pytest.raises(RewardOptionInvalid, match=r"for 'bright', .* selected are: .*r\.py:red"):
        Judge([reward("red")], options={"bright": {"gain": 3}})


def test_a_broken_reward_that_is_not_selected_is_a_warning(install, reward, caplog):
    install("tdmr1-reward-gone", ["gone"])
    Judge([reward("red")])
    (message,) = caplog.messages
    assert "'gone', which is not selected, is broken: module 'tdmr1_reward_gone'" in message


def test_trying_shows_a_mixture_that_no_reward_scores(generator, reward):
    Judge([reward("shy"), reward("blue")]).try_on(generator, PROMPTS, CPU)
    with pytest.raises(RewardsAllAbstain, match="no reward scores any prompt of the mixture"):
        Judge([reward("shy")]).try_on(generator, PROMPTS, CPU)
    with pytest.raises(RewardsAllAbstain):
        Judge([reward("blue")]).try_on(generator, PROMPTS[:1], CPU)
    with pytest.raises(RewardsAllAbstain):  # a gate's reward teaches nothing
        gates = [f"{reward('red')}>0.5"]
        Judge([reward("shy")], gates=gates).try_on(generator, PROMPTS, CPU)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("raises", r"r\.py:raises' failed on 2 samples: ValueError: the engine is off"),
        ("nan", r"r\.py:nan' returned nan for sample 0 .*to abstain, return None"),
        ("short", r"r\.py:short' returned 1 scores for 2 samples"),
        ("hangs", r"r\.py:hangs' did not score 2 samples within 0\.1 s; .*raise `reward_timeout`"),
    ],
)
def test_trying_shows_a_reward_that_does_not_work(generator, reward, name, text):
    with pytest.raises(RewardError, match=text):
        Judge([reward(name)], timeout=0.1).try_on(generator, PROMPTS, CPU)


def test_a_reward_that_abstains_on_every_prompt_is_told_while_others_score(
    generator, reward, caplog
):
    judge = Judge([reward("red"), reward("shy")], gates=[f"{reward('blue')}>0.5"])
    judge.try_on(generator, PROMPTS[:1], CPU)
    judge.try_on(generator, PROMPTS[:1], CPU)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    for line, name in zip(told, ("shy", "blue"), strict=True):
        assert line.startswith(f"reward {reward(name)!r} abstains on all 1 training prompts")


def test_a_reward_that_asks_people_may_have_no_opinion_yet(generator, tmp_path, caplog):
    (tmp_path / "people.py").write_text(
        "def ask(samples):\n    return [None] * len(samples)\n\nask.asks = True\n"
    )
    judge = Judge([f"{tmp_path}/people.py:ask"])
    judge.try_on(generator, PROMPTS, CPU)
    judge.tell_silent({f"{tmp_path}/people.py:ask": np.ones(2, np.bool_)}, "held-out")
    assert caplog.text == ""


SAYS = """
from tdmr1.rewards import Reward

class Says(Reward):
    name = "says"

    def judges(self, prompt, metadata):
        return metadata["tag"] == "blue"

    def score(self, samples):
        return [0.5 if s.metadata["tag"] == "blue" else None for s in samples]
"""


def test_it_is_told_of_the_prompts_of_each_split(reward, tmp_path, caplog):
    (tmp_path / "s.py").write_text(SAYS)
    judge = Judge([reward("red"), f"{tmp_path}/s.py:Says"])
    judge.ask(PROMPTS[:1], PROMPTS)
    judge.ask(PROMPTS, PROMPTS[:1])
    told = [record.getMessage() for record in caplog.records]
    assert ["s.py:Says' abstains on all 1 training" in told[0], "held-out" in told[1]] == [
        True
    ] * 2


def test_pictures_are_judged_as_their_latents_are(generator, reward):
    judge = Judge([reward("red")])
    latents = torch.linspace(-2, 2, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    pictures = judge(to_uint8(generator.decode(latents)), PROMPTS)
    latents = judged(judge, generator, latents, PROMPTS)
    one, two = (j.outcomes[reward("red")].values.tolist() for j in (pictures, latents))
    assert one == two


@pytest.fixture
def comparing(tmp_path):
    """A reward that scores how many samples there are in a group of more than one."""
    file = tmp_path / "compares.py"
    file.write_text(
        "def compare(samples):\n"
        "    assert len({sample.prompt for sample in samples}) == 1\n"
        "    return [len(samples) if len(samples) > 1 else None for _ in samples]\n"
        "compare.grouped = True\n"
    )
    return f"{file}:compare"


def test_a_grouped_reward_compares_those_of_a_group(generator, comparing):
    judge = Judge([comparing])
    latents = torch.zeros(5, 3, 4, 4)
    samples = [PROMPTS[0]] * 5
    pending = judge.submit(generator, latents, samples, [3, 3, 3, 1, 1])
    assert judge.result(pending).outcomes[comparing].values.tolist() == [3, 3, 3, 2, 2]
    with pytest.raises(RewardRefused, match="not told which belong together"):
        judge.result(judge.submit(generator, latents, samples))


def test_a_grouped_reward_is_tried_on_two_pictures_of_each_prompt(generator, reward, comparing):
    judge = Judge([comparing, reward("blue")])
    judge.try_on(generator, PROMPTS, CPU)
    assert judge.mix.scorers[comparing].n_samples == 2 * len(PROMPTS)
