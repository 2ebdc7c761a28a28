"""Which of a run's students is taken: the best, the last, or that of an iteration."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tdmr1.errors import UserError
from tdmr1.trainers.loop.looks import best
from tdmr1.trainers.loop.run import RunFolder

BEST, LAST = "best", "last"


class NotEnded(UserError):
    """The run has no last student yet."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A student of a run.

    Attributes:
        iterations: that it was trained for.
        folder: where it is.
        what: of it, in words.
    """

    iterations: int
    folder: Path
    what: str


def choose(run: RunFolder, checkpoint: str = BEST) -> Choice:
    """Find a run's student.

    Args:
        run: any.
        checkpoint: "best", as the guard says; where it has not looked at any that was trained, the
            last. "last", of the run's end. Or an iteration, of those that are kept.

    Raises:
        NotEnded: the last one is asked for, or there is no other yet.
        UserError: it is not there.
    """
    if checkpoint == BEST:
        return _best(run) or _last(run, "the last; the guard has chosen none")
    if checkpoint == LAST:
        return _last(run, "the last")
    if not checkpoint.isdecimal():
        raise UserError(f"--checkpoint {checkpoint}: write best, last, or an iteration")
    iteration, iterations = int(checkpoint), run.config().iterations
    if iteration in run.students():
        return Choice(iteration, run.student_at(iteration), f"that of iteration {iteration}")
    if iteration == iterations and run.student.is_dir():
        return _last(run, "the last")
    kept = ", ".join(map(str, run.students())) or "none"
    raise UserError(
        f"--checkpoint {checkpoint}: the run in {run.path} keeps no student of that iteration; "
        f"there are: {kept}; and last"
    )


def _best(run: RunFolder) -> Choice | None:
    """That of the guard. Of a run that goes on, not the student with which it began, unless all
    others were outside."""
    looks = run.looks()
    chosen = best(looks)
    if chosen is None or (len(looks) == 1 and not run.student.is_dir()):
        return None
    folder = run.student_at(chosen.iteration)
    if not folder.is_dir():
        raise UserError(
            f"the best student of the run in {run.path} is that of iteration {chosen.iteration}, "
            f"but {folder} is gone; take another: --checkpoint last"
        )
    what = f"the best, of iteration {chosen.iteration} of {run.config().iterations}"
    return Choice(chosen.iteration, folder, what)


def _last(run: RunFolder, what: str) -> Choice:
    if not run.student.is_dir():
        raise NotEnded(
            f"the run in {run.path} has not ended; continue it with: "
            f"tdmr1 {run.config().kind} --resume {run.path}"
        )
    return Choice(run.config().iterations, run.student, what)
