"""The guard: it compares the student with that of step 0, says what has gone too far, and keeps
the students."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tdmr1.core.metrics import Metrics
from tdmr1.files import new_folder
from tdmr1.progress import say
from tdmr1.rewards.discovery.spec import shown
from tdmr1.trainers.evaluation.album import Album, figures
from tdmr1.trainers.evaluation.evaluate import Pictures
from tdmr1.trainers.evaluation.guarded import (
    REWARD,
    compared,
    gain,
    limit_of,
    option_of,
    outside,
)
from tdmr1.trainers.limits import GuardOptions
from tdmr1.trainers.loop.looks import Look, best, last_inside
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stopping import Interrupted
from tdmr1.trainers.writing import writing

STATUS = 4
"""Exit status of a run that the guard ended."""


class OutsideLimits(Interrupted):
    """The guard ended the run.

    Attributes:
        remedy: what to add to the command that continues it.
    """

    remedy = " --guard warn"

    def __init__(self, outside: str, good: int) -> None:
        super().__init__(STATUS)
        self._outside, self._good = outside, good

    def __str__(self) -> str:
        return (
            f"the guard ended the run before iteration {self.iteration}, which is saved; outside "
            f"their limits: {self._outside}\n"
            f"the last student inside all limits is that of iteration {self._good}; `eval`, "
            "`export` and `generate` take the best of those"
        )


class Guard:
    """Looks at pictures of the same prompts and noise, the first ones at iteration 0.

    Args:
        options: its limits.
        watched: held-out reward -> whether higher is better.
        run: whose folder remembers the looks, and the pictures of step 0.
        write: writes the averaged student, as it is, into a folder.
    """

    def __init__(
        self,
        options: GuardOptions,
        watched: Mapping[str, bool],
        run: RunFolder,
        write: Callable[[Path], None],
    ) -> None:
        self._options, self._watched, self._run, self._write = options, watched, run, write
        self._blind = False

    def look(self, iteration: int, pictures: Pictures) -> Metrics:
        """Compare, tell what has crossed its limit, and keep the student.

        Returns:
            Of every figure with a limit `guarded/NAME`, the value that is compared, and
            `guard/NAME`, 1 while it is outside and 0 inside.
        """
        if iteration == 0:
            pictures.album.write(self._run.start_pictures)
        looks = [look for look in self._run.looks() if look.iteration < iteration]
        if iteration and not (looks and self._run.start_pictures.exists()):
            self._tell_blind()
            return {}
        seen = self._look(iteration, pictures, looks)
        self._tell(seen, looks)
        self._keep(seen)
        looks.append(seen)
        self._run.keep_looks(looks)
        self._run.drop_students(self._unneeded(looks))
        metrics: Metrics = {}
        for name, value in seen.compared.items():
            if limit_of(name, self._options) is not None:
                metrics[f"guarded/{name}"] = value
                metrics[f"guard/{name}"] = float(name in seen.outside)
        return metrics

    def check(self, iteration: int) -> None:
        """End the run if it shall end, and was outside when it was looked at before `iteration`.

        Raises:
            OutsideLimits: it is so.
        """
        looks = self._run.looks()
        if self._options.action != "stop" or not looks:
            return
        now, good = looks[-1], last_inside(looks)
        if now.iteration == iteration and now.outside:
            assert good is not None, "step 0 is inside"
            raise OutsideLimits(_names(now), good.iteration)

    def _look(self, iteration: int, pictures: Pictures, looks: list[Look]) -> Look:
        start = Album.read(self._run.start_pictures)
        found = figures(pictures.album, start, pictures.group)
        outcomes = {name: pictures.outcomes[name] for name in self._watched}
        scores = {n: of.values[of.scored] for n, of in outcomes.items() if of.scored.any()}
        found |= {REWARD + name: float(values.mean()) for name, values in scores.items()}
        deviations = {name: float(values.std()) for name, values in scores.items()}
        first = looks[0] if looks else Look(0, found, {}, {}, deviations)
        values = compared(found, first.figures)
        for name in scores.keys() & first.deviations.keys():
            key = REWARD + name
            risen = gain(found[key], first.figures[key], first.deviations[name])
            values[key] = risen if self._watched[name] else -risen
        beyond = outside(values, self._options)
        return Look(iteration, found, values, beyond, {} if looks else deviations)

    def _tell_blind(self) -> None:
        """Once: a run of before there was a guard, or one whose first look was switched off."""
        if not self._blind:
            say(
                "the guard sees nothing, and the run will have no best student: nothing is kept "
                f"of the pictures before its first iteration ({self._run.start_pictures.name})"
            )
        self._blind = True

    def _tell(self, seen: Look, looks: list[Look]) -> None:
        """Once, when a figure crosses its limit, and when it is back."""
        before = looks[-1].outside if looks else {}
        for name, said in seen.outside.items():
            if name not in before:
                say(f"guard: before iteration {seen.iteration} {_called(name)} is {said}")
        for name in before:
            if name not in seen.outside:
                say(
                    f"guard: before iteration {seen.iteration} {_called(name)} is inside its "
                    "limit again"
                )

    def _keep(self, seen: Look) -> None:
        folder = self._run.student_at(seen.iteration)
        if folder.exists():  # of work that was lost
            shutil.rmtree(folder)
        with writing(folder), new_folder(folder) as beside:
            self._write(beside)
        if seen.iteration == 0:
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            say(
                f"the guard keeps at most {self._options.kept + 2} students of "
                f"{size / 1e6:.3g} MB each in {folder.parent}"
            )

    def _unneeded(self, looks: list[Look]) -> list[int]:
        needed = {look.iteration for look in looks[-self._options.kept :]}
        needed |= {look.iteration for look in (best(looks), last_inside(looks)) if look}
        return [look.iteration for look in looks if look.iteration not in needed]


def told_at_the_end(run: RunFolder, asking: Sequence[str] = ()) -> str | None:
    """What the guard has to say of a run that has ended; None where it did not look.

    Args:
        run: its folder.
        asking: those of its rewards that ask people.
    """
    looks = run.looks()
    chosen = best(looks)
    if chosen is None:
        return None
    last = looks[-1]
    said = f"the best student is that of iteration {chosen.iteration} of {last.iteration}"
    if chosen.iteration == last.iteration:
        return f"{said}, the last; the guard found it inside its limits"
    why = (
        f"the last is outside the guard's limits: {_names(last)}"
        if last.outside
        else ("its held-out reward is the highest")
    )
    told = (
        f"{said}: {why}\n"
        "`eval`, `export` and `generate` take the best; --checkpoint last takes the last"
    )
    options = sorted({option_of(name) for name in last.outside} - {"reward"})
    if asking and options:
        settings = " ".join(f"--set guard.{option}=none" for option in options)
        told += (
            f"\n{', '.join(map(shown, asking))} asked people, and they may like just what is "
            "outside: look at the pictures of both. A run that leaves these figures to people has "
            f"{settings}"
        )
    return told


def _names(look: Look) -> str:
    return ", ".join(map(_called, look.outside))


def _called(name: str) -> str:
    if name.startswith(REWARD):
        return f"held-out {shown(name.removeprefix(REWARD))}"
    return name
