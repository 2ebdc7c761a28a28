"""What is looked at during a run: pictures of the same noise, and evaluations."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tdmr1.core.metrics import Metrics
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.evaluation.album import Album
from tdmr1.trainers.evaluation.compare import compare_pictures
from tdmr1.trainers.evaluation.evaluate import Evaluation, Sampler
from tdmr1.trainers.evaluation.scores import Scores
from tdmr1.trainers.evaluation.table import over_teacher
from tdmr1.trainers.images import grid, to_uint8, write_png
from tdmr1.trainers.loop.guard import Guard, OutsideLimits
from tdmr1.trainers.loop.run import EXAMPLES, RunFolder

PICTURES_PER_TAG = 8


class PeriodicEvaluation:
    """Called before every iteration and once at the end. It takes part in no random stream.

    Args:
        evaluation: held-out prompts and noise; without rewards there are pictures alone.
        student: who is looked at.
        teacher: who is measured once, before the student.
        config: how often.
        guard: looks at the student, too: at the pictures of every evaluation, or, in a run without
            evaluations along the way, at those of the grids; None: nobody does.
        run: where to: grids in images/, the first and the last report in evaluation.json as
            "before" and "after", the teacher's there and in teacher.npz.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        student: Sampler,
        teacher: Sampler,
        config: RunOptions,
        run: RunFolder,
        guard: Guard | None = None,
    ) -> None:
        self._evaluation, self._student, self._teacher = evaluation, student, teacher
        self._run, self._guard, self._iterations = run, guard, config.iterations
        self._guards_evaluations = bool(config.evaluate_every) and evaluation.judge is not None
        self._images_every, self._evaluate_every = config.images_every, config.evaluate_every
        self._reported = {0: "before", config.iterations: "after"}
        self._pictured = evaluation.first_per_tag(PICTURES_PER_TAG)
        self._columns = min(PICTURES_PER_TAG, config.eval_images)

    def __call__(self, iteration: int) -> Metrics:
        """Metrics of what is due before `iteration`, often none; then other processes go on.

        Raises:
            OutsideLimits: the guard ends the run, which is not at its end already; its metrics
                are logged.
        """
        due = iteration in self._reported
        metrics: Metrics = {}
        if due or iteration % self._images_every == 0:
            metrics |= self._picture(iteration)
        if due or (self._evaluate_every and iteration % self._evaluate_every == 0):
            metrics |= self._evaluate(iteration)
        if self._guard is not None and iteration < self._iterations:
            try:
                self._guard.check(iteration)
            except OutsideLimits:
                self._run.log(iteration, metrics)
                raise
        self._evaluation.dismiss()
        return metrics

    def _evaluate(self, iteration: int) -> Metrics:
        if self._evaluation.judge is None:
            return {}
        if self._evaluation.teacher is None:
            self._meet_teacher()
        pictures = self._evaluation.measure(self._student)
        report = self._evaluation.report(self._student, pictures)
        if iteration in self._reported:
            self._run.report(self._reported[iteration], report)
        if iteration == self._iterations and report.scores is not None:
            self._keep_examples(report.scores)
        metrics: Metrics = {}
        if self._guard is not None and self._guards_evaluations:
            metrics |= self._guard.look(iteration, pictures)
        if self._run.student_at(iteration).exists():
            self._run.report_student(iteration, report)
        for name, figures in report.rewards.items():
            metrics[f"heldout/{name}"] = figures.value
            metrics[f"heldout/{name}/overall"] = figures.overall
            metrics |= {f"heldout/{name}/{tag}": value for tag, value in figures.by_tag.items()}
        metrics |= {f"variety/{name}": value for name, value in report.variety.items()}
        ratios = over_teacher(report.variety, self._run.reports()["teacher"].variety)
        return metrics | {f"over_teacher/{name}": value for name, value in ratios.items()}

    def _meet_teacher(self) -> None:
        """Measure the teacher, or read what a run that goes on knows of it."""
        if self._run.teacher.exists():
            self._evaluation.teacher = Album.read(self._run.teacher)
            return
        self._run.report("teacher", self._evaluation.measure_teacher(self._teacher))
        assert self._evaluation.teacher is not None
        self._evaluation.teacher.write(self._run.teacher)

    def _keep_examples(self, scores: Scores) -> None:
        """Draw the best and the worst pictures again, and keep them."""
        found = [scores.extremes(reward, EXAMPLES) for reward in scores.outcomes]
        chosen = sorted({index for pair in found for indices in pair for index in indices})
        if chosen:
            images = to_uint8(self._evaluation.images(self._student, chosen))
            for index, image in zip(chosen, images, strict=True):
                write_png(image, self._run.examples / f"{index:05d}.png")

    def _picture(self, iteration: int) -> Metrics:
        if not self._run.teacher_picture.exists():
            drawn = to_uint8(self._evaluation.images(self._teacher, self._pictured))
            write_png(grid(drawn, self._columns), self._run.teacher_picture)
        images = to_uint8(self._evaluation.images(self._student, self._pictured))
        picture = grid(images, self._columns)
        write_png(picture, self._run.images / f"{iteration:06d}.png")
        metrics: Metrics = {}
        if self._guard is not None and not self._guards_evaluations:
            seen = self._evaluation.watched(images, self._pictured)
            metrics |= self._guard.look(iteration, seen)
        first = self._run.images / f"{0:06d}.png"
        if first.exists():  # unless somebody tidied up
            with Image.open(first) as image:
                metrics |= compare_pictures(np.asarray(image), picture)
        return metrics
