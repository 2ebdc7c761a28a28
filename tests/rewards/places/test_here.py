import threading

import numpy as np
import pytest

from tdmr1.rewards import Reward, Sample, Score
from tdmr1.rewards.errors import (
    RewardAnswerInvalid,
    RewardBroken,
    RewardFailed,
    RewardRefused,
    RewardTimeout,
)
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import Here


class Stub(Reward):
    """Answers a batch with what a function makes of it."""

    name = "stub"
    summary = "For tests."

    def __init__(self, answer):
        self.answer = answer

    def score(self, samples):
        return self.answer(samples)


def batch(n):
    return [Sample(np.zeros((2, 2, 3), np.uint8), f"prompt {i}") for i in range(n)]


def test_scores_in_order_and_checked():
    place = Here(Stub(lambda samples: [float(s.prompt[-1]) / 10 for s in samples]))
    assert place.score(batch(3)) == [Score(0.0), Score(0.1), Score(0.2)]
    assert place.score([]) == []
    with pytest.raises(RewardAnswerInvalid, match="'stub' returned a NoneType"):
        Here(Stub(lambda samples: None)).score(batch(1))


def test_a_failure_is_chained_from_the_original_exception():
    def fail(samples):
        raise TimeoutError("the server is away")

    with pytest.raises(RewardFailed, match="2 samples: TimeoutError: the server") as caught:
        Here(Stub(fail)).score(batch(2))
    assert isinstance(caught.value.__cause__, TimeoutError)


def test_a_reward_that_exits_is_a_failure():
    def leave(samples):
        raise SystemExit(3)

    with pytest.raises(RewardFailed, match='failed on "prompt 0": SystemExit: 3'):
        Here(Stub(leave)).score(batch(1))


def test_a_reward_that_hangs_is_left_after_the_time_limit():
    release = threading.Event()
    place = Here(Stub(lambda samples: release.wait()), timeout=0.05)
    with pytest.raises(RewardTimeout, match=r"2 samples within 0\.05 s; .*raise `reward_timeout`"):
        place.score(batch(2))
    release.set()


def test_the_image_is_read_only_for_the_reward_and_stays_writable_for_the_caller():
    def paint(samples):
        samples[0].image[:] = 255

    samples = batch(1)
    with pytest.raises(RewardFailed, match="read-only"):
        Here(Stub(paint)).score(samples)
    assert samples[0].image.flags.writeable
    assert not samples[0].image.any()


def test_what_is_known_of_a_reward():
    class Loud(Stub):
        range, higher_is_better, repeatable = (-1, 5), False, False

    assert RewardInfo.of(Loud(None), "loud", "1.2") == RewardInfo(
        "loud", (-1.0, 5.0), higher_is_better=False, repeatable=False, version="1.2"
    )
    assert Here(Stub(None)).info == RewardInfo("stub")


@pytest.mark.parametrize("limits", [None, (0.0,), ("low", "high"), (0, 1, 2)])
def test_a_range_that_is_none_says_what_is_expected(limits):
    class Odd(Stub):
        range = limits

    with pytest.raises(RewardBroken, match=r"'stub' does not say its range as \(smallest"):
        RewardInfo.of(Odd(None))


class TextRaises(ValueError):
    def __str__(self):
        raise RuntimeError("no text")


class Unreadable(list):
    def __len__(self):
        raise TextRaises


def test_what_the_code_of_its_own_classes_raises_is_an_error_like_any_other():
    def fail(samples):
        raise TextRaises

    with pytest.raises(RewardFailed, match="'stub' failed on 2 samples: TextRaises: "):
        Here(Stub(fail)).score(batch(2))
    with pytest.raises(RewardAnswerInvalid, match="returned what cannot be read: TextRaises: "):
        Here(Stub(lambda samples: Unreadable())).score(batch(2))


def test_an_exception_of_megabytes_and_a_missing_module():
    def fail(samples):
        raise ValueError("x" * 5_000_000)

    with pytest.raises(RewardFailed) as caught:
        Here(Stub(fail)).score(batch(2))
    assert len(str(caught.value)) < 10_000

    def late(samples):
        import no_such_module  # noqa: F401

    with pytest.raises(RewardFailed, match='\ntry: pip install "no_such_module"'):
        Here(Stub(late)).score(batch(2))


def test_while_one_hangs_past_its_limit_the_others_are_asked():
    release = threading.Event()
    with pytest.raises(RewardTimeout):
        Here(Stub(lambda samples: release.wait()), timeout=0.05).score(batch(1))
    assert Here(Stub(lambda samples: [1.0])).score(batch(1)) == [Score(1.0)]
    release.set()


def test_a_reward_may_ask_another_while_it_scores():
    inner = Here(Stub(lambda samples: [0.5] * len(samples)))
    outer = Here(Stub(lambda samples: [s.value for s in inner.score(samples)]), timeout=30)
    assert outer.score(batch(2)) == [Score(0.5), Score(0.5)]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 2, 3), np.float32),
        np.zeros((2, 2, 3), np.uint16),
    ],
    ids=["alpha", "grey", "float32", "16 bit"],
)
def test_an_image_that_is_none_of_a_sample_is_refused(image):
    with pytest.raises(RewardRefused, match=r"'stub' is asked about .*convert it, e\.g\."):
        Here(Stub(lambda samples: [0.0])).score([Sample(image, "a")])
