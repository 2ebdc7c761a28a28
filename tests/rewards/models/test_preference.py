import numpy as np

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.models.photographs import CAPTIONS
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


def test_its_goldens_are_photographs_with_their_captions():
    assert [golden.prompt for golden in Length().goldens()] == [*CAPTIONS.values()]
