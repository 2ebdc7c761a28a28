import math

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.cache import RewardCache
from tdmr1.rewards.cached import CachedReward, CachedScoring, sample_key
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardFailed
from tdmr1.rewards.function import FunctionReward
from tdmr1.rewards.scoring import Scorer


@pytest.fixture
def cache(tmp_path):
    cache = RewardCache(tmp_path / "c.sqlite")
    yield cache
    cache.close()


@pytest.fixture
def asked():
    return []


@pytest.fixture
def cached(cache, asked):
    """A scoring with a cache; what it is asked about is in `asked`."""

    def cached(answer=lambda samples: [len(s.prompt) / 10 for s in samples], identity="one"):
        def score(samples):
            asked.extend(sample.prompt for sample in samples)
            return answer(samples)

        return CachedScoring(score, identity, (0.0, 1.0), cache)

    return cached


def sample(prompt="a", image=None, **metadata):
    return Sample(np.zeros((2, 3, 3), np.uint8) if image is None else image, prompt, metadata)


def test_only_what_is_not_known_is_asked_and_the_order_is_kept(cached, asked):
    scoring = cached()
    scoring.score([sample("aa"), sample("aaaa")])
    assert scoring.hits == 0
    asked.clear()
    outcomes = scoring.score([sample(p) for p in ("a", "aaaa", "aaa", "aa", "aaaaa")])
    assert asked == ["a", "aaa", "aaaaa"]
    assert [o.value if isinstance(o, Score) else o for o in outcomes] == [0.1, 0.4, 0.3, 0.2, 0.5]
    assert scoring.hits == 2
    asked.clear()
    scoring.score([sample("aa"), sample("aaaa")])
    assert (asked, scoring.hits) == ([], 4)


def test_scores_with_reason_and_verdict_and_abstentions_are_known_the_second_time(cached, asked):
    given = [Score(0.5, "two stars", passed=np.bool_(False)), None, np.float32(0.25), True]
    scoring = cached(lambda samples: given)
    batch = [sample(prompt) for prompt in "abcd"]
    assert scoring.score(batch) == given
    assert scoring.score(batch) == [Score(0.5, "two stars", False), None, Score(0.25), Score(1.0)]
    assert len(asked) == 4


def test_an_array_is_an_answer(cached, asked):
    scoring = cached(lambda samples: np.full(len(samples), 0.5))
    scoring.score([sample("a")])
    assert scoring.score([sample("a"), sample("b")]) == [Score(0.5), 0.5]


def test_another_identity_shares_nothing(cached, asked):
    cached(identity="one").score([sample()])
    cached(identity="two").score([sample()])
    assert asked == ["a", "a"]


@pytest.mark.parametrize("answer", [math.nan, math.inf, 1.5, -0.1, "good", Score(math.nan)])
def test_what_the_caller_will_refuse_is_handed_on_and_not_kept(cached, asked, answer):
    scoring = cached(lambda samples: [0.5, answer])
    batch = [sample("a"), sample("b")]
    assert scoring.score(batch)[1] is answer
    cached(lambda samples: [0.5]).score(batch)
    assert asked == ["a", "b", "b"]


def test_of_a_batch_that_fails_nothing_is_kept_or_counted(cached, asked):
    cached().score([sample("a")])

    def fail(samples):
        raise ValueError("off")

    failing = cached(fail)
    with pytest.raises(ValueError, match="off"):
        failing.score([sample("a"), sample("b")])
    assert failing.hits == 0
    cached().score([sample("b")])
    assert asked == ["a", "b", "b"]


@pytest.mark.parametrize(("answer", "says"), [([0.1], "a list of 1"), (None, "a NoneType inst")])
def test_an_answer_of_another_length_fits_no_samples(cached, answer, says):
    with pytest.raises(RewardAnswerInvalid, match=says):
        cached(lambda samples: answer).score([sample("a"), sample("b")])


def test_within_a_budget_the_failed_sample_alone_is_an_error_and_not_kept(cache, asked):
    def score(samples):
        asked.extend(s.prompt for s in samples)
        if any(s.prompt == "bad" for s in samples):
            raise ValueError("off")
        return [0.5] * len(samples)

    def scorer(**budget):
        return Scorer(CachedReward(FunctionReward("r", score), "r", cache), **budget)

    batch = [sample("a"), sample("bad"), sample("b")]
    first = scorer(max_error_fraction=0.5)
    for hits in (0, 2):
        outcomes = first(batch)
        assert outcomes.errors.tolist() == [False, True, False]
        assert first.reward.scoring.hits == hits
    assert asked == ["a", "bad", "b", "a", "bad", "b", "bad", "bad"]
    with pytest.raises(RewardFailed, match="ValueError: off"):
        scorer()(batch)


IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    "other",
    [
        sample("b", IMAGE),
        sample("a", IMAGE, tag="counting"),
        sample("a", IMAGE.reshape(3, 2, 3)),
        sample("a", IMAGE + 1),
        sample("a", IMAGE[:, :2]),
    ],
)
def test_a_key_changes_with_everything_that_is_seen(other):
    assert sample_key("r", other) != sample_key("r", sample("a", IMAGE))
    assert sample_key("r2", other) != sample_key("r", other)


def test_a_key_is_of_the_content_and_not_of_how_it_lies_in_memory():
    wide = np.repeat(IMAGE, 2, axis=1)
    metadata = {"tag": "x", "include": [{"count": 1, "class": "star"}]}
    turned = {"include": [{"class": "star", "count": 1}], "tag": "x"}
    first = sample_key("r", sample("a", IMAGE, **metadata))
    assert first == sample_key("r", sample("a", wide[:, ::2], **turned))
    assert len(first) == 32


def test_metadata_without_a_canonical_form_is_asked_about_every_time(cached, asked):
    scoring = cached()
    for _ in range(2):
        outcomes = scoring.score([sample("aa", font=object()), sample("a")])
    assert asked == ["aa", "a", "aa"]
    assert outcomes == [0.2, Score(0.1)]


def test_a_reward_behind_a_cache_still_says_what_it_is(cache):
    reward = FunctionReward("r", lambda samples: [])
    reward.higher_is_better, reward.range = False, (1.0, 2.0)
    behind = CachedReward(reward, "r", cache)
    assert (behind.name, behind.range, behind.higher_is_better) == ("r", (1.0, 2.0), False)
