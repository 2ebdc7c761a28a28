"""What is looked at during a run: pictures of the same noise, and evaluations."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdmr1.core.surrogate import Metrics
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.evaluate import Evaluation, Report, RewardReport, Sampler
from tdmr1.trainers.images import grid, to_uint8, write_png
from tdmr1.trainers.run import EVALUATION, RunFolder

GRID_PER_TAG = 8


class Observer:
    """Called before every iteration and once at the end.

    Args:
        evaluation: held-out prompts and noise.
        sample: the student.
        config: how often.
        run: where to. Reports are kept in evaluation.json under "before", "after" and the like.
    """

    def __init__(
        self, evaluation: Evaluation, sample: Sampler, config: RunOptions, run: RunFolder
    ) -> None:
        self._evaluation, self._sample, self._config, self._run = evaluation, sample, config, run
        self._pictured = evaluation.first_per_tag(GRID_PER_TAG)

    def __call__(self, iteration: int) -> Metrics:
        config = self._config
        ends = iteration in (0, config.iterations)
        metrics: Metrics = {}
        if ends or iteration % config.images_every == 0:
            metrics |= self._picture(iteration)
        if ends or (config.evaluate_every and iteration % config.evaluate_every == 0):
            report = self.report("before" if iteration == 0 else "after", self._sample)
            for name, figures in report.items():
                metrics[f"heldout/{name}"] = figures.value
                metrics[f"heldout/{name}/overall"] = figures.overall
        return metrics

    def report(self, who: str, sample: Sampler) -> Report:
        """Evaluate, and keep the report in the run folder under the name `who`."""
        report = self._evaluation(sample)
        kept = self._run.read_json(EVALUATION) if (self._run.path / EVALUATION).exists() else {}
        kept[who] = {name: dataclasses.asdict(figures) for name, figures in report.items()}
        self._run.write_json(EVALUATION, kept)
        return report

    def _picture(self, iteration: int) -> Metrics:
        images = to_uint8(self._evaluation.images(self._sample, self._pictured))
        write_png(grid(images, GRID_PER_TAG), self._run.images / f"{iteration:06d}.png")
        first = np.asarray(Image.open(self._run.images / f"{0:06d}.png"))
        return compare_pictures(first, grid(images, GRID_PER_TAG))


def compare_pictures(first: NDArray[np.uint8], now: NDArray[np.uint8]) -> Metrics:
    """How far uint8 (H, W, 3) `now` is from `first`, and how sharp in comparison.

    Returns:
        `student/drift`, the mean absolute difference in [0, 1]; `student/sharpness`, the ratio of
        the mean absolute differences of neighbouring pixels: below 1 is blurrier than at first.
    """
    a, b = first.astype(np.float64) / 255, now.astype(np.float64) / 255
    edges = [np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean() for x in (a, b)]
    return {
        "student/drift": float(np.abs(a - b).mean()),
        "student/sharpness": float(edges[1] / max(edges[0], 1e-12)),
    }


def read_reports(run: RunFolder) -> dict[str, Report]:
    """What evaluation.json holds."""
    return {
        who: {name: RewardReport(**figures) for name, figures in report.items()}
        for who, report in run.read_json(EVALUATION).items()
    }
