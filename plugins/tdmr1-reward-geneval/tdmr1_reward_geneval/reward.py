"""The reward `geneval`: the dense reward as its value, GenEval's verdict beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.rewards import Golden, Image, Reward, Sample, Score, Weights
from tdmr1.rewards.models import published
from tdmr1_reward_geneval import CLIP, INPUT_SIZE, MASK2FORMER
from tdmr1_reward_geneval.detector import Detection, Detector
from tdmr1_reward_geneval.mask2former import Mask2FormerDetector
from tdmr1_reward_geneval.mmdet_detector import PUBLISHED
from tdmr1_reward_geneval.shapes import ShapesDetector
from tdmr1_reward_geneval.task import MetadataInvalid, Task, parse
from tdmr1_reward_geneval.verdict import (
    MAX_OBJECTS,
    Objects,
    colored,
    countable,
    dense_reward,
    verdict,
)


class GenEval(Reward):
    """GenEval's questions to an image, answered by an object detector.

    Abstains on prompts whose metadata has no `include`.

    Args:
        detectors: find the objects; a prompt is judged by the first that knows all that it names.
            By default that of flat shapes, and for all else that of photographs.
        reads: files and folders that scores depend on, beside what the detectors read.
    """

    name = "geneval"
    summary = "GenEval: are the right objects there, as many, in the right colours and places?"
    range = (2.0 - MAX_OBJECTS, 1.0)
    needs = ("GenEval's metadata: `include` and `tag`",)
    engines = (
        "shapes detector on OpenCV",
        f"mask2former detector on transformers, shorter side input_size = {INPUT_SIZE} px; "
        "its colours by CLIP ViT-L/14",
        "mmdet detector in mmdet 3.3, in an environment of its own",
    )
    weights = (
        Weights(
            MASK2FORMER,
            "stated as other",
            276,
            f"https://huggingface.co/{MASK2FORMER}",
            option="weights",
            files=published.WEIGHTS,
            when=("detector=auto", "detector=mask2former"),
        ),
        PUBLISHED,
        Weights(
            CLIP,
            "MIT (of OpenAI's code)",
            1711,
            f"https://huggingface.co/{CLIP}",
            option="color_weights",
            files=published.CLIP,
            when=("detector=auto", "detector=mask2former", "detector=mmdet"),
        ),
    )

    def __init__(self, *detectors: Detector, reads: tuple[str, ...] = ()) -> None:
        self.detectors = detectors or (ShapesDetector(), Mask2FormerDetector())
        self.reads = (*reads, *(path for own in self.detectors for path in own.reads)) or None

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score a sample: the dense reward, the verdict, and the reason for it.

        Raises:
            MetadataInvalid: the metadata has an `include`, but is not GenEval's, or asks for
                something that no detector knows.
            DetectorError: what the detector needs is not there.
        """
        asked = {
            index: self._asked(sample.prompt, sample.metadata)
            for index, sample in enumerate(samples)
            if sample.metadata.get("include") is not None
        }
        scores: list[Score | None] = [None] * len(samples)
        for detector in self.detectors:
            mine = {index: task for index, (own, task) in asked.items() if own is detector}
            images = [samples[index].image for index in mine]
            judged = _judged(detector, images, [*mine.values()])
            for index, score in zip(mine, judged, strict=True):
                scores[index] = score
        return scores

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether there is an `include`.

        Raises:
            MetadataInvalid, DetectorError: as for `score`.
        """
        if metadata.get("include") is None:
            return False
        detector, task = self._asked(prompt, metadata)
        detector.ready(bool(task.colors))
        return True

    def _asked(self, prompt: str, metadata: Mapping[str, Any]) -> tuple[Detector, Task]:
        """What a prompt asks for, and the first detector that knows all of it."""
        labels = [label for detector in self.detectors for label in detector.labels]
        colors = dict.fromkeys(c for detector in self.detectors for c in detector.colors)
        task = parse(metadata, prompt, labels, colors)
        for detector in self.detectors:
            if task.labels <= {*detector.labels} and task.colors <= {*detector.colors}:
                return detector, task
        names = ", ".join(sorted(task.labels | task.colors))
        raise MetadataInvalid(
            f'GenEval metadata of the prompt "{prompt}": no one detector knows all of {names}; '
            "one knows flat shapes in six colours, the other COCO's classes in ten"
        )

    def goldens(self) -> Sequence[Golden]:
        """Those of its first detector: the others' weights need not be on this machine."""
        return self.detectors[0].goldens()


def _judged(detector: Detector, images: Sequence[Image], tasks: Sequence[Task]) -> list[Score]:
    """The scores of N images for N tasks, by one detector."""
    found = detector.detect_batch(images)
    objects = [countable(one, task.tag) for one, task in zip(found, tasks, strict=True)]
    asked = [
        (index, thing)
        for index, task in enumerate(tasks)
        for thing in dict.fromkeys(colored(objects[index], task))
    ]
    named = detector.color_batch([(images[index], thing) for index, thing in asked])
    colors: list[dict[Detection, str]] = [{} for _ in tasks]
    for (index, thing), color in zip(asked, named, strict=True):
        colors[index][thing] = color
    scores = []
    for own, task, color_of in zip(objects, tasks, colors, strict=True):
        answer = verdict(own, task, color_of.__getitem__)
        value = dense_reward(own, task, color_of.__getitem__)
        scores.append(Score(value, answer.reason, answer.correct, _seen(own)))
    return scores


def _seen(objects: Objects) -> dict[str, list[list[float]]]:
    """The objects that count as GenEval's lines of results have them: class -> boxes, each with
    its confidence, in hundredths of a pixel and in as many digits as float32 has."""
    return {
        label: [[*(round(side, 2) for side in one.box), round(one.confidence, 8)] for one in found]
        for label, found in objects.items()
        if found
    }
