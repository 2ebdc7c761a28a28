"""All checks, in the order in which they are run and shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tdmr1.rewards.checks.answers import (
    abstains_without_its_needs,
    batch_equals_one_by_one,
    finite,
    input_unchanged,
    judges_what_it_scores,
    order_kept,
    range_kept,
    repeatable,
    tells_good_from_bad,
)
from tdmr1.rewards.checks.cost import latency, peak_memory
from tdmr1.rewards.checks.finding import Check, Finding, failed, not_checked, passed
from tdmr1.rewards.checks.images import empty_batch, grey, odd_sizes, one_pixel
from tdmr1.rewards.checks.statement import states_what_it_is
from tdmr1.rewards.contract import Golden, Reward
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken, RewardError, RewardTimeout, blaming
from tdmr1.rewards.random_state import own_random_state
from tdmr1.rewards.texts import told

LOADS = "loads"
"""What comes before all checks: the reward is made, with its golden images."""

CHECKS: tuple[Check, ...] = (
    states_what_it_is,
    tells_good_from_bad,
    finite,
    range_kept,
    batch_equals_one_by_one,
    order_kept,
    repeatable,
    abstains_without_its_needs,
    judges_what_it_scores,
    odd_sizes,
    grey,
    one_pixel,
    empty_batch,
    input_unchanged,
    latency,
    peak_memory,
)


def name_of(check: Check) -> str:
    """In words, e.g. "order kept"."""
    return check.__name__.replace("_", " ")


def checking(spec: RewardSpec, options: Mapping[str, Any]) -> Iterator[tuple[str, Finding]]:
    """Load a reward in this process, then run one check after another.

    Yields:
        Name of the check and finding; the first is that of `LOADS`.

    Raises:
        RewardNotFound, RewardOptionInvalid: as `load`. That a reward is broken is a finding.
    """
    started = time.perf_counter()
    try:
        reward = load(spec, options)
        goldens = goldens_of(reward)
    except RewardBroken as error:
        yield LOADS, failed(str(error))
        for check in CHECKS:
            yield name_of(check), not_checked("it does not load")
        return
    seconds = time.perf_counter() - started
    yield LOADS, passed(f"in {seconds:.1f} s", seconds=seconds)
    yield from run_checks(reward, goldens)


@own_random_state()
def goldens_of(reward: Reward) -> list[Golden]:
    """A reward's golden images.

    Raises:
        RewardBroken: its code raised.
    """
    with blaming(f"the golden images of reward {reward.name!r} cannot be made"):
        return list(reward.goldens())


def run_checks(reward: Reward, goldens: Sequence[Golden]) -> Iterator[tuple[str, Finding]]:
    """Run all checks; when the reward does not return, the rest is not checked.

    Yields:
        Name of the check and finding.
    """
    hangs = False
    for check in CHECKS:
        if hangs:
            yield name_of(check), not_checked("it did not return from an earlier check")
            continue
        try:
            finding = check(reward, goldens)
        except RewardError as error:
            finding = failed(str(error))
            hangs = isinstance(error, RewardTimeout)
        except Exception as error:  # attributes that are not of the contract's types
            finding = failed(told(error))
        yield name_of(check), finding
