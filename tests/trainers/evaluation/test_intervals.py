import numpy as np
import pytest

from tdmr1.trainers.evaluation.intervals import estimate, sign_flip


def drawn(prompts, images, p, seed=0, tag="a"):
    """Verdicts of `images` pictures each; a prompt has a chance of its own around p."""
    rng = np.random.default_rng(seed)
    chance = np.clip(p + rng.normal(0, 0.2, prompts), 0, 1)
    merit = (rng.random((prompts, images)) < chance[:, None]).astype(float)
    texts = [f"{tag}{i}" for i in range(prompts) for _ in range(images)]
    return merit.reshape(-1), texts, [tag] * len(texts)


def both(*parts):
    merit, texts, tags = zip(*parts, strict=True)
    return np.concatenate(merit), [t for of in texts for t in of], [t for of in tags for t in of]


def test_overall_is_the_mean_of_the_tags_whatever_their_sizes():
    found = estimate(np.array([1.0, 1, 1, 0]), ["p", "q", "r", "s"], ["a", "a", "a", "b"])
    assert {tag: mean for tag, (mean, _) in found.by_tag.items()} == {"a": 1, "b": 0}
    assert (found.overall[0], found.mean[0]) == (0.5, 0.75)


def test_an_interval_holds_the_truth_about_19_times_of_20():
    held = 0
    for seed in range(200):
        found = estimate(*drawn(40, 4, 0.5, seed))
        low, high = found.overall[1]
        held += low <= 0.5 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_pictures_of_one_prompt_are_no_more_prompts():
    merit, texts, tags = drawn(12, 1, 0.5)
    once = estimate(merit, texts, tags).overall[1]
    often = estimate(np.repeat(merit, 50), list(np.repeat(texts, 50)), tags * 50).overall[1]
    assert often == once


def test_a_tag_of_one_prompt_has_no_interval_and_neither_has_the_whole():
    found = estimate(*both(drawn(1, 9, 0.5), drawn(9, 4, 0.5, tag="b")))
    assert found.by_tag["a"][1] is None and found.by_tag["b"][1] is not None
    assert found.overall[1] is None and found.mean[1] is None


def test_what_was_not_scored_does_not_count():
    merit, texts, tags = drawn(9, 4, 0.5)
    more = np.append(merit, np.nan), [*texts, "silent"], [*tags, "c"]
    assert estimate(*more) == estimate(merit, texts, tags)


def test_p_is_small_where_all_prompts_agree_and_uniform_where_nothing_is_there():
    merit, texts, tags = drawn(20, 4, 0.5)
    assert sign_flip(np.full_like(merit, 0.1), texts, tags) < 0.001
    rng = np.random.default_rng(0)
    ps = [sign_flip(rng.normal(size=len(merit)), texts, tags) for _ in range(200)]
    assert np.mean(ps) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(ps) < 0.05) < 0.1


def test_with_three_prompts_nothing_is_proven():
    """Of the 8 ways to choose signs 2 are as far from 0."""
    assert sign_flip(np.ones(3), ["p", "q", "r"], ["a"] * 3) == pytest.approx(0.25, abs=0.02)


def test_no_difference_is_no_evidence():
    assert sign_flip(np.zeros(8), list("abcdefgh"), [""] * 8) == 1
