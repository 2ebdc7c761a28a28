"""The run folder: everything a run leaves behind.

config.json          the resolved options
environment.json     versions, machine and threads
commands.json        what was typed to begin it, and each time that it went on
prompts.json         which prompts it has seen: their number, and a hash
metrics.jsonl        one line an iteration
tensorboard/         the same as events
trackers.json        which runs of other trackers are this one's
images/              grids of the same noise; teacher.png beside it is the teacher's
examples/            its best and worst pictures at the end, by their line in scores/after.jsonl
checkpoints/         the last few, to continue from
lora/                the trained student, for diffusers; network/ if its weights are whole
evaluation.json      the figures of the final table
scores/              what the rewards say of each picture of an evaluation
teacher.npz          what is kept of the teacher's pictures, to compare the student's with
start.npz            likewise of the student's before the first iteration, for the guard
guard.json           what the guard saw, look by look; from it follows which student is the best
students/            000050/ is the averaged student before iteration 50, as in lora/, and its
                     report, if there is one: of the last looks, the best and the last good one
.tdmr1.lock          while a process trains here
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tdmr1.errors import UserError
from tdmr1.files import remove_unfinished, replacing
from tdmr1.locks import locked, release, try_lock
from tdmr1.trainers.checkpoint import list_checkpoints, read_tree, write_checkpoint
from tdmr1.trainers.config import KINDS, AnyConfig, TrainConfig, validated
from tdmr1.trainers.environment import environment
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.scores import Scores
from tdmr1.trainers.launchers import command
from tdmr1.trainers.loop.looks import Look
from tdmr1.trainers.loop.trackers import Trackers
from tdmr1.trainers.writing import writing

CONFIG = "config.json"
EVALUATION = "evaluation.json"
GUARD = "guard.json"
REPORT = "report.json"
LOCK = ".tdmr1.lock"
EXAMPLES = 6
"""Of the best, and of the worst, pictures that are kept for each reward."""
SECONDS = ("seconds/iteration", "seconds/observing")
"""Metrics that add up to the time of a run."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a run has taken, work that was lost left out.

    Attributes:
        minutes: of iterations, and of pictures and evaluations on the way.
        gib: most memory, as `trainers.memory.peak_memory` tells it; NaN where it cannot be told.
    """

    minutes: float
    gib: float

    def __str__(self) -> str:
        memory = "" if math.isnan(self.gib) else f" and {self.gib:.1f} GiB of memory at most"
        return f"training took {self.minutes:.1f} minutes{memory}"


class RunFolder:
    """A folder of its own for every run. Nothing is written before `start`.

    Args:
        path: where.

    Attributes:
        path: absolute, as a reward may take the process to another folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path.absolute()
        self.checkpoints = path / "checkpoints"
        self.images = path / "images"
        self._lora, self._network = path / "lora", path / "network"
        self.teacher = path / "teacher.npz"
        self.scores, self.examples = path / "scores", path / "examples"
        self.teacher_picture = path / "teacher.png"
        self.start_pictures = path / "start.npz"
        self._students = path / "students"
        self._metrics = path / "metrics.jsonl"
        self._trackers: Trackers | None = None

    @classmethod
    def new(cls, path: Path) -> RunFolder:
        """For a new run.

        Raises:
            UserError: something is there already, or a process trains there.
        """
        run = cls(path)
        if run.started:
            with run.locked():
                kind = run.config().kind
            raise UserError(
                f"{run.path} exists already; continue it with: "
                f"{command(os.environ)} {kind} --resume {run.path}\n"
                "or choose another folder with --out"
            )
        path = run.path
        if path.exists() and (not path.is_dir() or any(p.name != LOCK for p in path.iterdir())):
            raise UserError(f"{path} exists and is not a run; choose another folder with --out")
        return run

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else trains in this folder inside the block; others may read it.

        What a killed process was writing into it is removed.

        Raises:
            UserError: a process trains in it already, or nothing can be written there.
        """
        remedy = "wait until it has ended, or choose another folder with --out"
        with contextlib.ExitStack() as held:
            with writing(self.path):
                held.enter_context(locked(self.path / LOCK, f"the run in {self.path}", remedy))
            for folder in (
                self.path,
                self.checkpoints,
                self.images,
                self.scores,
                self.examples,
                self._lora,
                self._network,
                self._students,
            ):
                remove_unfinished(folder)
            yield

    @property
    def started(self) -> bool:
        return (self.path / CONFIG).is_file()

    @property
    def student(self) -> Path:
        """The folder of the trained student; there when a run has ended.

        Raises:
            UserError: there is no run in this folder.
        """
        return self._network if self.config().method.rank is None else self._lora

    def start(self, config: AnyConfig) -> None:
        """Write down what the run is, unless it is one that goes on."""
        if not self.started:
            self._write_json("environment.json", environment())
            values = config.model_dump(mode="json")
            self._write_json(CONFIG, {"kind": config.kind, **values})
        program = Path(sys.argv[0]).name
        program = command(os.environ) if program == "tdmr1" else program
        typed = f"{program} {shlex.join(sys.argv[1:])}"
        self._write_json("commands.json", {"commands": [*self.commands(), typed]})

    def commands(self) -> list[str]:
        """What was typed to begin the run, and each time that it went on; nothing for a run of
        before they were kept."""
        if not (self.path / "commands.json").exists():
            return []
        commands: list[str] = self._read_json("commands.json")["commands"]
        return commands

    @property
    def going_on(self) -> bool:
        """Whether a process trains in this folder now."""
        lock = self.path / LOCK
        if not lock.exists():
            return False
        try:
            held = try_lock(lock)
        except OSError:  # nothing can be written there, or there are no locks
            return False
        if held is not None:
            release(held)
        return held is None

    def environment(self) -> dict[str, Any]:
        """Where the run began, as `tdmr1.trainers.environment` has it.

        Raises:
            UserError: environment.json is gone or damaged.
        """
        return self._read_json("environment.json")

    def config(self) -> AnyConfig:
        """The options that the run was started with.

        Raises:
            UserError: there is no run in this folder.
        """
        values = self._read_json(CONFIG)
        kind = KINDS.get(values.pop("kind", TrainConfig.kind))
        if kind is None:
            raise UserError(
                f"the run in {self.path} is of a kind that this version does not know; there are: "
                f"{', '.join(KINDS)}"
            )
        return validated(kind, values)

    def log(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Append one iteration's metrics to metrics.jsonl, NaN as null, and tell the trackers."""
        known = {name: None if math.isnan(v) else v for name, v in metrics.items()}
        with writing(self._metrics), self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **known}) + "\n")
        numbers = {name: value for name, value in known.items() if value is not None}
        self.track_from(iteration).log(numbers, iteration)

    def track_from(self, iteration: int) -> Trackers:
        """Begin or continue the run's trackers, once; what was lost with a kill disappears from
        the curves of TensorBoard, too.

        Raises:
            UserError: one cannot be begun.
        """
        if self._trackers is None:
            self._trackers = Trackers(self.config(), self.path, iteration)
        return self._trackers

    def metrics(self) -> list[dict[str, float | None]]:
        """The lines of metrics.jsonl.

        Raises:
            UserError: it is gone, or not as it was written.
        """
        try:
            lines = self._metrics.read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise UserError(
                f"cannot tell what the run in {self.path} took: metrics.jsonl: {error}\n"
                "put it back, or move the run away and start it again"
            ) from error

    def cost(self) -> Cost:
        """Of the iterations in metrics.jsonl.

        Raises:
            UserError: as `metrics`.
        """
        metrics = self.metrics()
        seconds = sum(m.get(name) or 0.0 for m in metrics for name in SECONDS)
        memory = [gib for m in metrics if (gib := m.get("gib/peak")) is not None]
        return Cost(seconds / 60, max(memory, default=math.nan))

    def looks(self) -> list[Look]:
        """What the guard saw, oldest first.

        Raises:
            UserError: guard.json is damaged.
        """
        if not (self.path / GUARD).exists():
            return []
        return [Look(**look) for look in self._read_json(GUARD)["looks"]]

    def keep_looks(self, looks: Sequence[Look]) -> None:
        """Write them down, in place of those of before."""
        self._write_json(GUARD, {"looks": [dataclasses.asdict(look) for look in looks]})

    def student_at(self, iteration: int) -> Path:
        """Where the averaged student before `iteration` is, if it is kept."""
        return self._students / f"{iteration:06d}"

    def students(self) -> list[int]:
        """The iterations of which the averaged student is kept."""
        return sorted(int(path.name) for path in self._students.glob("[0-9]*"))

    def drop_students(self, iterations: Sequence[int]) -> None:
        """Remove those of some iterations, where they are still there."""
        for iteration in iterations:
            shutil.rmtree(self.student_at(iteration), ignore_errors=True)

    def report_student(self, iteration: int, report: Report) -> None:
        """Keep a report beside the averaged student of `iteration`."""
        path = f"{self._students.name}/{self.student_at(iteration).name}/{REPORT}"
        self._write_json(path, report.to_json())

    def report_of(self, iteration: int) -> Report | None:
        """What was reported of the averaged student of `iteration`, if it was evaluated."""
        path = self.student_at(iteration) / REPORT
        if not path.exists():
            return None
        return Report.from_json(self._read_json(str(path.relative_to(self.path))))

    def forget_from(self, iteration: int) -> None:
        """Drop the metrics of `iteration` and later: they belong to work that was lost. So do
        later looks of the guard."""
        looks = self.looks()
        if any(look.iteration > iteration for look in looks):
            self.keep_looks([look for look in looks if look.iteration <= iteration])
        self.drop_students([at for at in self.students() if at > iteration])
        if self._metrics.exists():
            lines = self._metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if _iteration(line) < iteration]
            with writing(self._metrics), replacing(self._metrics) as beside:
                beside.write_text("".join(kept), encoding="utf-8")

    def save(self, state: dict[str, Any], iteration: int, keep: int) -> Path:
        """Write a checkpoint after `iteration` iterations."""
        if self._trackers is not None:
            self._trackers.flush()
        return write_checkpoint(
            {"iteration": iteration, **state}, self.checkpoints, iteration, keep
        )

    def last_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint, or None before the first.

        Raises:
            UserError: it is damaged.
        """
        found = list_checkpoints(self.checkpoints)
        return read_tree(found[-1]) if found else None

    def report(self, who: str, report: Report) -> None:
        """Keep a report in evaluation.json, and its scores, under the name `who`."""
        kept = self._read_json(EVALUATION) if (self.path / EVALUATION).exists() else {}
        if report.scores is not None:
            report.scores.write(self.scores / f"{who}.jsonl")
        self._write_json(EVALUATION, {**kept, who: report.to_json()})

    def write_provenance(self) -> None:
        """Write beside the student how it was made: options, versions and figures of this run."""
        made = {
            "command": f"tdmr1 {self.config().kind}",
            "options": self._read_json(CONFIG),
            "environment": self._read_json("environment.json"),
            "evaluation": self._read_json(EVALUATION) if (self.path / EVALUATION).exists() else {},
        }
        self._write_json(f"{self.student.name}/provenance.json", made)

    def reports(self) -> dict[str, Report]:
        """What evaluation.json holds, with their scores, where they were kept; nothing before the
        first report."""
        if not (self.path / EVALUATION).exists():
            return {}
        found = {}
        for who, plain in self._read_json(EVALUATION).items():
            kept = self.scores / f"{who}.jsonl"
            scores = Scores.read(kept) if kept.exists() else None
            found[who] = dataclasses.replace(Report.from_json(plain), scores=scores)
        return found

    def close(self) -> None:
        if self._trackers is not None:
            self._trackers.close()
            self._trackers = None

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path} is not a run folder: {name}: {error}\n"
                "name the one that `tdmr1 train` or `tdmr1 distill` printed as its run folder"
            ) from error
        return content

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        path = self.path / name
        with writing(path), replacing(path) as beside:
            beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _iteration(line: str) -> float:
    """Of a line of metrics.jsonl; infinity if a kill cut it short."""
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return math.inf
