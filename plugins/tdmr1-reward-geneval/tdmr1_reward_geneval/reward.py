"""The reward `geneval`: the dense reward as its value, GenEval's verdict beside it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.rewards import Golden, Reward, Sample, Score
from tdmr1_reward_geneval.detector import Detector
from tdmr1_reward_geneval.goldens import goldens
from tdmr1_reward_geneval.shapes import ShapesDetector
from tdmr1_reward_geneval.task import Task, parse
from tdmr1_reward_geneval.verdict import MAX_OBJECTS, countable, dense_reward, verdict


class GenEval(Reward):
    """GenEval's questions to an image, answered by an object detector.

    Abstains on prompts whose metadata has no `include`.

    Args:
        detector: finds the objects; by default flat coloured shapes.
    """

    name = "geneval"
    summary = "GenEval: are the right objects there, as many, in the right colours and places?"
    range = (2.0 - MAX_OBJECTS, 1.0)
    needs = ("GenEval's metadata: `include` and `tag`",)
    engines = ("shapes detector on OpenCV",)

    def __init__(self, detector: Detector | None = None) -> None:
        self.detector = detector or ShapesDetector()

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score a sample: the dense reward, the verdict, and the reason for it.

        Raises:
            MetadataInvalid: the metadata has an `include`, but is not GenEval's, or asks for
                something that the detector does not know.
        """
        return [None if s.metadata.get("include") is None else self._score(s) for s in samples]

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether there is an `include`.

        Raises:
            MetadataInvalid: as for `score`.
        """
        if metadata.get("include") is None:
            return False
        self._task(prompt, metadata)
        return True

    def _task(self, prompt: str, metadata: Mapping[str, Any]) -> Task:
        return parse(metadata, prompt, self.detector.labels, self.detector.colors)

    def _score(self, sample: Sample) -> Score:
        detector, task = self.detector, self._task(sample.prompt, sample.metadata)
        objects = countable(detector.detect(sample.image), task.tag)
        color_of = functools.cache(functools.partial(detector.color, sample.image))
        answer = verdict(objects, task, color_of)
        return Score(dense_reward(objects, task, color_of), answer.reason, answer.correct)

    def goldens(self) -> list[Golden]:
        """Of the `shapes` detector; a detector of other things has none."""
        return goldens() if isinstance(self.detector, ShapesDetector) else []
