import numpy as np
import pytest

from tdmr1.rewards.contract import Sample
from tdmr1.trainers.evaluation.claims import ARMS, CLAIMS, SEEDS
from tdmr1.trainers.evaluation.placebo import placebo


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_checks_of_a_claim_are_about_its_arms(claim):
    assert set(claim.arms) <= ARMS.keys()
    whose = {of.arm for check in claim.checks for of in (check.mine, check.other) if of}
    assert whose and whose <= set(claim.arms)
    for check in claim.checks:
        assert (check.above is None) != (check.within is None)


def test_every_arm_is_of_some_claim_and_there_are_seeds_for_a_verdict():
    assert {arm for claim in CLAIMS.values() for arm in claim.arms} == ARMS.keys()
    assert len(set(SEEDS)) >= 3


def test_a_placebo_is_uniform_and_says_the_same_of_a_picture_each_time():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2000, 4, 4, 3), dtype=np.uint8)
    samples = [Sample(image, "a star", {}) for image in images]
    scores = np.array(placebo(samples))
    assert np.array_equal(scores[::-1], placebo(samples[::-1]))
    assert np.histogram(scores, 4, (0, 1))[0] == pytest.approx(500, rel=0.15)
    brightness = images.mean(axis=(1, 2, 3))
    assert abs(np.corrcoef(scores, brightness)[0, 1]) < 0.07
