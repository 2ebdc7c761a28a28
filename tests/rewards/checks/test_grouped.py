"""The checks know of rewards that compare the samples of a prompt."""

import dataclasses
import re

import numpy as np
import pytest

from tdmr1.rewards import Golden, Reward
from tdmr1.rewards.checks import answers, images, statement
from tdmr1.rewards.checks.suite import CHECKS, name_of, run_checks


def plain(value):
    return np.full((8, 8, 3), value, np.uint8)


class Unlike(Reward):
    """Compares the samples of a prompt, and holds to the contract; those below break it."""

    name = "unlike"
    summary = "Is it unlike the others?"
    grouped = True

    def score(self, samples):
        if len(samples) < 2:
            return [None] * len(samples)
        return self.compared([sample.image.mean() / 255 for sample in samples])

    def compared(self, values):
        others = (np.sum(values) - values) / (len(values) - 1)
        return [*np.abs(values - others)]


class Alone(Unlike):
    grouped = False


class Remembers(Unlike):
    before = 0.0

    def compared(self, values):
        before, self.before = self.before, float(np.mean(values))
        return [abs(value - before) for value in values]


class Placed(Unlike):
    def compared(self, values):
        return [i / len(values) for i in range(len(values))]


class Divides(Unlike):
    def score(self, samples):
        return [1 / (len(samples) - 1) for _ in samples]


class Pops(Unlike):
    def score(self, samples):
        scores = super().score(samples)
        samples.clear()
        return scores


GROUPS = [
    Golden("a cellar", good=plain(200), bad=plain(20), others=[plain(22), plain(25)]),
    Golden("snow", good=plain(100), bad=plain(250), others=[plain(240)]),
]


@pytest.mark.parametrize("goldens", [GROUPS, ()], ids=["goldens", "none"])
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_a_grouped_reward_that_holds_to_the_contract_passes(check, goldens):
    finding = check(Unlike(), goldens)
    told = check is answers.tells_good_from_bad and not goldens
    assert finding.status == ("not checked" if told else "passed"), finding.text


@pytest.mark.parametrize(
    ("check", "reward", "says"),
    [
        (answers.batch_equals_one_by_one, Remembers, "its group alone, .* in a batch"),
        (answers.order_kept, Placed, "in a batch of another order"),
        (images.one_pixel, Divides, "ZeroDivisionError"),
        (answers.input_unchanged, Pops, "changes the list of samples"),
    ],
)
def test_a_grouped_reward_that_breaks_the_contract_is_told_where(check, reward, says):
    for goldens in (GROUPS, ()):
        finding = dict(run_checks(reward(), goldens))[name_of(check)]
        assert finding.status == "failed"
        assert re.search(says, finding.text), finding.text


def test_of_a_grouped_reward_groups_are_scored_alone_and_together():
    calls = []

    class Counts(Unlike):
        def score(self, samples):
            calls.append((len(samples), {sample.prompt for sample in samples}))
            return super().score(samples)

    assert answers.batch_equals_one_by_one(Counts(), GROUPS).text == "3 groups"
    # The third is the first without a sample: another group of the same prompt.
    one_by_one = [(4, {"a cellar"}), (3, {"snow"}), (3, {"a cellar"})]
    assert calls == [*one_by_one, *one_by_one]


def test_a_group_has_one_prompt():
    golden = dataclasses.replace(GROUPS[0], wrong="snow")
    finding = statement.states_what_it_is(Unlike(), [golden])
    assert "pair 0 has `wrong`; a group has one prompt" in finding.text


def test_companions_of_a_golden_pair_need_a_grouped_reward():
    finding = statement.states_what_it_is(Alone(), GROUPS)
    assert "pair 0 has `others`, which only a grouped reward sees" in finding.text
