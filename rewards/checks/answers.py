"""Checks of what a reward answers."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from tdmr1.rewards.checks.finding import Finding, failed, not_checked, passed
from tdmr1.rewards.checks.samples import first_unit, golden_samples, probes, score
from tdmr1.rewards.contract import Golden, Reward, Sample
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.errors import RewardFailed, blaming
from tdmr1.rewards.groups import groups_of, units_of
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import judged
from tdmr1.rewards.prompts import PromptLine

TOLERANCE = 1e-3
"""Of the range, or of the value; half precision differs so much between sizes of a batch."""

ABSTAINS = "it abstains on every sample; give it golden images"


def tells_good_from_bad(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Every golden good image scores better than the bad one of its prompt, and better than with
    the wrong prompt, where there is one."""
    if not goldens:
        return not_checked("it has no golden images; add `def goldens(self)` to its class")
    samples = golden_samples(goldens)
    firsts = [next(i for i, s in enumerate(samples) if s.group == g) for g in range(len(goldens))]
    pairs = [(index, first, first + 1) for index, first in enumerate(firsts)]
    for index, first, _ in [*pairs]:
        if wrong := goldens[index].wrong:
            pairs.append((index, first, len(samples)))
            samples.append(dataclasses.replace(samples[first], prompt=wrong, group=len(samples)))
    outcomes = score(reward, samples)
    for index, first, second in pairs:
        where = f'golden pair {index} ("{goldens[index].prompt}")'
        if outcomes.abstained[[first, second]].any():
            return failed(f"{where}: the reward abstains")
        good, bad = outcomes.values[[first, second]]
        if good == bad or (good > bad) != reward.higher_is_better:
            reasons = "; ".join(filter(None, (outcomes.reasons[first], outcomes.reasons[second])))
            better = "above" if reward.higher_is_better else "below"
            worse = f"the bad one's {bad:g}"
            if samples[second].prompt == goldens[index].wrong:
                worse = f'its {bad:g} for "{goldens[index].wrong}"'
            return failed(
                f"{where}: the good image's {good:g} is not {better} {worse}"
                + (f" ({reasons})" if reasons else "")
            )
    return passed(f"{len(pairs)} of {len(pairs)} pairs")


def batch_equals_one_by_one(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """A sample's score does not depend on its companions in the batch; that of a grouped reward
    depends on no other group, not even on one of the same prompt."""
    if not reward.repeatable:
        return not_checked("declared not repeatable")
    samples = probes(goldens)
    if reward.grouped:
        again = [s for s in samples if s.group == samples[0].group][1:]
        samples += [dataclasses.replace(s, group=len(samples)) for s in again]
    together = score(reward, samples)
    if together.abstained.all():
        return not_checked(ABSTAINS)
    units, first = units_of(samples, reward.grouped), 0
    for unit in units:
        alone = score(reward, unit)
        for i, sample in enumerate(unit):
            if text := _difference(reward, alone, i, together, first + i):
                which = "its group alone" if reward.grouped else "alone"
                named = _named(first + i, sample)
                return failed(f"{named}: {text[0]} {which}, {text[1]} in a batch")
        first += len(unit)
    return passed(f"{len(units)} {'groups' if reward.grouped else 'samples'}")


def order_kept(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """The scores of samples in another order come in that order; of a grouped reward, those of
    the samples of a group, too."""
    if not reward.repeatable:
        return not_checked("declared not repeatable")
    samples = probes(goldens)
    first = score(reward, samples)
    if first.abstained.all():
        return not_checked(ABSTAINS)
    if first.scored.all() and len(np.unique(first.values)) == 1:
        return not_checked("all samples score alike; give it golden images")
    order = _turned(samples, reward.grouped)
    turned = score(reward, [samples[i] for i in order])
    for index, sample in enumerate(samples):
        if text := _difference(reward, first, index, turned, order.index(index)):
            return failed(
                f"{_named(index, sample)}: {text[0]}, and {text[1]} in a batch of another order"
            )
    return passed(f"{len(samples)} samples")


def repeatable(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """The same samples get the same scores, or the reward says that they may not."""
    if not reward.repeatable:
        return passed("declared not to be")
    samples = probes(goldens)
    first, second = score(reward, samples), score(reward, samples)
    if first.abstained.all():
        return not_checked(ABSTAINS)
    for index, sample in enumerate(samples):
        if text := _difference(reward, first, index, second, index):
            return failed(
                f"{_named(index, sample)}: {text[0]}, and then {text[1]}; "
                "where that has to be, say `repeatable = False`"
            )
    return passed("twice the same")


def finite(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """No answer is NaN or infinite."""
    outcomes = score(reward, probes(goldens))
    if outcomes.abstained.all():
        return not_checked(ABSTAINS)
    return passed(f"{outcomes.scored.sum()} scores")


def range_kept(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """No answer is outside the range that the reward states."""
    low, high = reward.range
    if math.isinf(low) and math.isinf(high):
        return not_checked("it states no `range`")
    outcomes = score(reward, probes(goldens))
    if outcomes.abstained.all():
        return not_checked(ABSTAINS)
    values = outcomes.values[outcomes.scored]
    found = f"{values.min():g} to {values.max():g}, of {low:g} to {high:g}"
    return passed(found) if low <= values.min() and values.max() <= high else failed(found)


def abstains_without_its_needs(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Without prompt and metadata a reward that needs them abstains, and any other scores."""
    outcomes = score(reward, _bare(reward, goldens))
    abstained = bool(outcomes.abstained[0])
    needs = ", ".join(reward.needs)
    if abstained and isinstance(reward, FunctionReward):
        return not_checked("a function does not state what it needs")
    if abstained and reward.asks:
        return not_checked("it asks people, who may not have answered yet")
    if abstained and not reward.needs:
        return failed("abstains without prompt and metadata; say in `needs` what it looks for")
    if reward.needs and not abstained:
        return failed(f"scores {outcomes.values[0]:g} without what it needs: {needs}")
    return passed(f"abstains without {needs}" if needs else "needs nothing")


def judges_what_it_scores(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """`judges` fails on none of its prompts, and is False only where it abstains."""
    says = type(reward).judges is not Reward.judges
    if not says and (reward.needs or isinstance(reward, FunctionReward)):
        return not_checked("it does not say which prompts it judges; see `judges`")
    samples = [*probes(goldens), *_bare(reward, goldens)]
    prompts = [PromptLine(sample.prompt, dict(sample.metadata)) for sample in samples]
    outcomes = score(reward, samples)
    for index, answer in enumerate(judged(reward, prompts, RewardInfo.of(reward))):
        where = _named(index, samples[index])
        if isinstance(answer, RewardFailed):
            return failed(f"{where}: {answer}")
        if not answer and not outcomes.abstained[index]:
            return failed(f"{where}: `judges` is False, and it scores {_outcome(outcomes, index)}")
    return passed(f"{len(samples)} samples")


def input_unchanged(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Scoring changes neither the images, nor the metadata, nor the list of samples."""
    before = probes(goldens)
    samples = [dataclasses.replace(s, image=s.image.copy()) for s in probes(goldens)]
    for mine in groups_of(samples) if reward.grouped else [samples]:
        given = list(mine)
        with blaming("scoring images that can be written to"):
            reward.score(given)
        if [*map(id, given)] != [*map(id, mine)]:
            return failed("it changes the list of samples")
    for index, (after, then) in enumerate(zip(samples, before, strict=True)):
        if not np.array_equal(after.image, then.image):
            return failed(f"it changes the image of {_named(index, then)}")
        if after.metadata != then.metadata:
            return failed(f"it changes the metadata of {_named(index, then)}")
    return passed()


def _bare(reward: Reward, goldens: Sequence[Golden]) -> list[Sample]:
    """A sample, or a group, without prompt and metadata."""
    return [Sample(sample.image, "", group=-1) for sample in first_unit(reward, goldens)]


def _turned(samples: Sequence[Sample], grouped: bool) -> list[int]:
    """The indices of samples in another order: the first one last, in each group as among all."""
    indices = iter(range(len(samples)))
    units = [list(itertools.islice(indices, len(unit))) for unit in units_of(samples, grouped)]
    units = [unit[1:] + unit[:1] for unit in units]
    return [i for unit in units[1:] + units[:1] for i in unit]


def _difference(
    reward: Reward, a: Outcomes, i: int, b: Outcomes, j: int
) -> tuple[str, str] | None:
    """Outcome `i` of `a` and outcome `j` of `b` in words, where they differ."""
    low, high = reward.range
    small = TOLERANCE * min(1.0, high - low)
    close = math.isclose(a.values[i], b.values[j], rel_tol=TOLERANCE, abs_tol=small)
    if (a.abstained[i] and b.abstained[j]) or (close and a.passed[i] == b.passed[j]):
        return None
    return _outcome(a, i), _outcome(b, j)


def _outcome(outcomes: Outcomes, index: int) -> str:
    if outcomes.abstained[index]:
        return "abstains"
    verdict = {True: " (passed)", False: " (not passed)", None: ""}[outcomes.passed[index]]
    return f"{outcomes.values[index]:g}{verdict}"


def _named(index: int, sample: Sample) -> str:
    return f'sample {index} ("{sample.prompt}")'
