import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.cache.cached import CachedPlace, cached, sample_key
from tdmr1.rewards.cache.store import RewardCache
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardFailed
from tdmr1.rewards.mixing.scoring import Scorer
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import Here


@pytest.fixture
def cache(tmp_path):
    cache = RewardCache(tmp_path / "c.sqlite")
    yield cache
    cache.close()


@pytest.fixture
def asked():
    return []


@pytest.fixture
def place(cache, asked):
    """A place with a cache; what its reward is asked about is in `asked`."""

    def place(answer=lambda samples: [len(s.prompt) / 10 for s in samples], identity="one"):
        def score(samples):
            asked.extend(sample.prompt for sample in samples)
            return answer(samples)

        return CachedPlace(Here(FunctionReward("r", score)), identity, cache)

    return place


def sample(prompt="a", image=None, **metadata):
    return Sample(np.zeros((2, 3, 3), np.uint8) if image is None else image, prompt, metadata)


def test_only_what_is_not_known_is_asked_and_the_order_is_kept(place, asked):
    first = place()
    first.score([sample("aa"), sample("aaaa")])
    assert first.hits == 0
    asked.clear()
    scores = first.score([sample(p) for p in ("a", "aaaa", "aaa", "aa", "aaaaa")])
    assert asked == ["a", "aaa", "aaaaa"]
    assert [score.value for score in scores] == [0.1, 0.4, 0.3, 0.2, 0.5]
    assert first.hits == 2
    asked.clear()
    first.score([sample("aa"), sample("aaaa")])
    assert (asked, first.hits) == ([], 4)


def test_scores_with_reason_and_verdict_and_abstentions_are_known_the_second_time(place, asked):
    given = [Score(0.5, "two stars", passed=False), None, Score(1.0, passed=True)]
    remembering = place(lambda samples: given)
    batch = [sample(prompt) for prompt in "abc"]
    for _ in range(2):
        assert remembering.score(batch) == given
    assert len(asked) == 3


def test_twice_in_one_batch_is_no_hit(place, asked):
    twice = place()
    assert twice.score([sample("a"), sample("a")]) == [Score(0.1), Score(0.1)]
    assert (twice.hits, twice.score([])) == (0, [])


def test_another_identity_shares_nothing(place, asked):
    place(identity="one").score([sample()])
    place(identity="two").score([sample()])
    assert asked == ["a", "a"]


def fail(samples):
    raise ValueError("off")


@pytest.mark.parametrize(
    ("answer", "error"),
    [(fail, RewardFailed), (lambda samples: [float("nan")] * len(samples), RewardAnswerInvalid)],
)
def test_of_a_batch_that_fails_nothing_is_kept_or_counted(place, asked, answer, error):
    place().score([sample("a")])
    failing = place(answer)
    with pytest.raises(error):
        failing.score([sample("a"), sample("b")])
    assert failing.hits == 0
    assert place().score([sample("b")]) == [Score(0.1)]
    assert asked == ["a", "b", "b"]


def test_within_a_budget_the_failed_sample_alone_is_an_error_and_not_kept(place, asked):
    def picky(samples):
        return fail(samples) if "bad" in [s.prompt for s in samples] else [0.5] * len(samples)

    batch = [sample("a"), sample("bad"), sample("b")]
    scorer = Scorer(place(picky), max_error_fraction=0.5)
    for hits in (0, 2):
        assert scorer(batch).errors.tolist() == [False, True, False]
        assert scorer.place.hits == hits
    assert asked == ["a", "bad", "b", "a", "bad", "b", "bad", "bad"]


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


def test_metadata_without_a_canonical_form_is_asked_about_every_time(place, asked):
    remembering = place()
    for _ in range(2):
        scores = remembering.score([sample("aa", font=object()), sample("a")])
        assert [score.value for score in scores] == [0.2, 0.1]
    assert asked == ["aa", "a", "aa"]


def test_it_is_the_place_that_it_stands_before(cache):
    class Closing(Here):
        closed = False

        def close(self):
            self.closed = True

    inner = Closing(FunctionReward("r", len))
    outer = CachedPlace(inner, "one", cache)
    assert outer.info is inner.info
    outer.close()
    assert inner.closed


def test_without_a_cache_or_repeatable_scores_nothing_stands_between(cache, caplog):
    def here(repeatable=True):
        reward = FunctionReward("r", len)
        reward.repeatable = repeatable
        return Here(reward, info=RewardInfo.of(reward, cacheable=True))

    assert cached(inner := here(), None) is inner
    assert isinstance(cached(here(), cache), CachedPlace)
    assert cached(inner := here(repeatable=False), cache) is inner
    assert not caplog.records


def test_a_reward_that_does_not_say_what_it_reads_is_not_cached_and_told_how(cache, caplog):
    assert cached(inner := Here(FunctionReward("./my.py:score", len)), cache) is inner
    assert "of reward './my.py:score' are not kept" in caplog.text
    assert "`score.reads = (" in caplog.text


def test_scores_with_other_options_are_other_scores(cache):
    for value in (0.25, 0.75):
        reward = FunctionReward("r", lambda samples, v=value: [v] * len(samples))
        info = RewardInfo.of(reward, options={"value": value}, cacheable=True)
        inner = Here(reward, info=info)
        for hits in (0, 1):
            place = cached(inner, cache)
            assert place.score([sample()]) == [Score(value)]
            assert place.hits == hits


def test_scores_of_a_grouped_reward_are_not_kept_as_they_are_no_property_of_a_sample(cache):
    reward = FunctionReward("r", lambda samples: [0.5] * len(samples))
    for grouped in (False, True):
        reward.grouped = grouped
        info = RewardInfo.of(reward, cacheable=True)
        place = cached(Here(reward, info=info), cache)
        assert isinstance(place, CachedPlace) is not grouped
