"""What is looked at during a run: pictures of the same noise, and evaluations."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tdmr1.core.metrics import Metrics
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.evaluation.compare import compare_pictures
from tdmr1.trainers.evaluation.evaluate import Evaluation, Sampler
from tdmr1.trainers.images import grid, to_uint8, write_png
from tdmr1.trainers.loop.run import RunFolder

PICTURES_PER_TAG = 8


class PeriodicEvaluation:
    """Called before every iteration and once at the end. It takes part in no random stream.

    Args:
        evaluation: held-out prompts and noise; without rewards there are pictures alone.
        student: who is looked at.
        config: how often.
        run: where to: grids in images/, the first and the last report in evaluation.json as
            "before" and "after".
    """

    def __init__(
        self, evaluation: Evaluation, student: Sampler, config: RunOptions, run: RunFolder
    ) -> None:
        self._evaluation, self._student, self._run = evaluation, student, run
        self._images_every, self._evaluate_every = config.images_every, config.evaluate_every
        self._reported = {0: "before", config.iterations: "after"}
        self._pictured = evaluation.first_per_tag(PICTURES_PER_TAG)
        self._columns = min(PICTURES_PER_TAG, config.eval_images)

    def __call__(self, iteration: int) -> Metrics:
        """Metrics of what is due before `iteration`, often none."""
        due = iteration in self._reported
        metrics: Metrics = {}
        if due or iteration % self._images_every == 0:
            metrics |= self._picture(iteration)
        if due or (self._evaluate_every and iteration % self._evaluate_every == 0):
            metrics |= self._evaluate(iteration)
        return metrics

    def _evaluate(self, iteration: int) -> Metrics:
        if self._evaluation.judge is None:
            return {}
        report = self._evaluation(self._student)
        if iteration in self._reported:
            self._run.report(self._reported[iteration], report)
        metrics: Metrics = {}
        for name, figures in report.rewards.items():
            metrics[f"heldout/{name}"] = figures.value
            metrics[f"heldout/{name}/overall"] = figures.overall
            metrics |= {f"heldout/{name}/{tag}": value for tag, value in figures.by_tag.items()}
        return metrics

    def _picture(self, iteration: int) -> Metrics:
        images = to_uint8(self._evaluation.images(self._student, self._pictured))
        picture = grid(images, self._columns)
        write_png(picture, self._run.images / f"{iteration:06d}.png")
        first = self._run.images / f"{0:06d}.png"
        if not first.exists():  # somebody tidied up
            return {}
        with Image.open(first) as image:
            return compare_pictures(np.asarray(image), picture)
