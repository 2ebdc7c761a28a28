import numpy as np

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.checks.answers import tells_good_from_bad
from tdmr1.rewards.models.photographs import CAPTIONS, photograph
from tdmr1.rewards.models.preference import PreferenceReward


class Length(PreferenceReward):
    """Brightness of the picture times length of the prompt."""

    name, summary, range = "length", "How long?", (0.0, 100.0)

    def rate(self, images, prompts):
        return [
            Score(float(image.mean()) / 255 * len(prompt))
            for image, prompt in zip(images, prompts, strict=True)
        ]


def test_what_has_no_prompt_gets_no_score_and_the_others_keep_theirs():
    white = np.full((2, 2, 3), 255, np.uint8)
    samples = [Sample(white, prompt) for prompt in ("a", " \n", "cat", "", "of")]
    scores = Length().score(samples)
    assert [score and score.value for score in scores] == [1.0, None, 3.0, None, 2.0]
    assert [Length().judges(s.prompt, {}) for s in samples] == [True, False, True, False, True]
    assert Length().score([]) == [] and Length().score(samples[1:2]) == [None]


class Knows(PreferenceReward):
    """Knows the photographs, and how much each of their captions is worth."""

    name, summary = "knows", "Is it its caption?"

    def __init__(self, fits=lambda name, prompt: CAPTIONS[name] == prompt):
        self._fits = fits

    def rate(self, images, prompts):
        names = [
            next(name for name in CAPTIONS if (photograph(name) == image).all())
            for image in images
        ]
        return [Score(float(self._fits(*pair))) for pair in zip(names, prompts, strict=True)]


def test_three_photographs_each_have_a_right_and_a_wrong_caption():
    goldens = Knows().goldens()
    assert [golden.prompt for golden in goldens] == [*CAPTIONS.values()]
    for golden in goldens:
        assert golden.wrong in {*CAPTIONS.values()} - {golden.prompt}
    found = tells_good_from_bad(Knows(), goldens)
    assert (found.status, found.text) == ("passed", "6 of 6 pairs")


def test_who_does_not_read_captions_or_confuses_two_does_not_pass():
    for fits, text in (
        # Each caption is better beside its own photograph; yet this one has liked "rocket" best.
        (
            lambda name, prompt: (CAPTIONS[name] == prompt) + 2 * ("rocket" in prompt),
            'pair 1 ("a cup of coffee on a wooden table"): the good image\'s 1 is not above '
            'its 2 for "a rocket on its launch pad at dusk"',
        ),
        (lambda name, prompt: name == "cat", "pair 1"),
    ):
        found = tells_good_from_bad(Knows(fits), Knows().goldens())
        assert found.status == "failed" and text in found.text
