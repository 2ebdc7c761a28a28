"""A run folder as a report needs it, also of a run that goes on, or was cut short."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdmr1.errors import UserError
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.mixing.gates import Gate
from tdmr1.trainers.config import AnyConfig, TrainConfig
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.loop.run import RunFolder

GRIDS = 8
"""Of the pictures along the way, at most; the first and the last are among them."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a report shows of a run.

    Attributes:
        name: by which the page calls it.
        run: its folder.
        config: its options.
        environment: where it began.
        metrics: a line for each iteration, as far as they are whole.
        reports: of the teacher, and of the student before and after.
        rewards: names of those that it climbs or watches.
        status: in words; "" of a run that has ended.
        grids: what -> picture of the same noise: the teacher's, then the student's in their order.
    """

    name: str
    run: RunFolder
    config: AnyConfig
    environment: Mapping[str, Any]
    metrics: list[dict[str, float | None]]
    reports: Mapping[str, Report]
    rewards: list[str]
    status: str
    grids: Mapping[str, Path]


def read_run(path: Path, name: str) -> Shown:
    """Read a run folder.

    Raises:
        UserError: it is none, or a file of it is damaged.
    """
    run = RunFolder(path)
    config = run.config()
    metrics = _metrics(run.path / "metrics.jsonl")
    specs = [RewardSpec.parse(text) for text in config.rewards]
    gates = config.gates if isinstance(config, TrainConfig) else ()
    specs += [Gate.parse(text).reward for text in gates]
    return Shown(
        name,
        run,
        config,
        run.environment(),
        metrics,
        run.reports(),
        list(dict.fromkeys(spec.name for spec in specs)),
        _status(run, config, metrics),
        _grids(run, config),
    )


def _status(run: RunFolder, config: AnyConfig, metrics: list[dict[str, float | None]]) -> str:
    done = max((int(line["iteration"] or 0) for line in metrics), default=0)
    if run.going_on:
        return f"This run is going on: {done} of {config.iterations} iterations so far."
    if run.student.is_dir():
        return ""
    return (
        f"This run was cut short after {done} of {config.iterations} iterations; it has no "
        f"figures of its end. It goes on with: tdmr1 {config.kind} --resume {run.path}"
    )


def _metrics(path: Path) -> list[dict[str, float | None]]:
    """The lines of metrics.jsonl; none before the first, and not a last one that is being written.

    Raises:
        UserError: it cannot be read, or another line is damaged.
    """
    if not path.exists():
        return []
    found: list[dict[str, float | None]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                found.append({"iteration": 0, **json.loads(line)})
            except (ValueError, TypeError) as error:
                if number < len(lines):
                    raise UserError(
                        f"{path}, line {number} is damaged: {error}\nremove the line"
                    ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    return found


def _grids(run: RunFolder, config: AnyConfig) -> dict[str, Path]:
    found = {"teacher": run.teacher_picture} if run.teacher_picture.exists() else {}
    numbered = sorted(p for p in run.images.glob("*.png") if p.stem.isdecimal())
    steps = max(1, min(GRIDS, len(numbered)) - 1)
    chosen = sorted({round(i * (len(numbered) - 1) / steps) for i in range(steps + 1)})
    for path in (numbered[i] for i in chosen if numbered):
        at = int(path.stem)
        label = {0: "before", config.iterations: "after"}.get(at, f"iteration {at}")
        found[label] = path
    return found
