"""Where metrics go beside metrics.jsonl: TensorBoard, and what else Accelerate writes to."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import LoggerType
from torch.utils.tensorboard import SummaryWriter

from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.writing import writing

TENSORBOARD = "tensorboard"
RUNS = "trackers.json"
PACKAGES = {"comet_ml": "comet-ml"}
"""What pip calls a tracker's package, where it is not the tracker's name."""


def check_trackers(names: tuple[str, ...]) -> None:
    """Look for trackers and their packages; nothing is imported or begun.

    Raises:
        UserError: one is unknown, or its package is not installed.
    """
    known = sorted(LOGGER_TYPE_TO_CLASS)
    available = {str(tracker) for tracker in get_available_trackers()}
    for name in names:
        if name not in known:
            raise UserError(
                f"unknown tracker {name!r} in `trackers`; there are: {', '.join(known)}"
            )
        if name in LoggerType.list() and name not in available:
            package = PACKAGES.get(name, name)
            raise UserError(f"the tracker {name!r} is not installed; try: pip install {package}")


class Trackers:
    """Those of a run, begun, or continued where the tracker can.

    Args:
        config: of the run.
        folder: of the run. `trackers.json` in it says which runs of the trackers are this one's.
        iteration: the first that is logged; TensorBoard forgets what was there of later ones.

    Raises:
        UserError: one cannot be begun.
    """

    def __init__(self, config: RunOptions, folder: Path, iteration: int) -> None:
        self._board = (
            SummaryWriter(str(folder / TENSORBOARD), purge_step=iteration)
            if TENSORBOARD in config.trackers
            else None
        )
        names = [name for name in config.trackers if name != TENSORBOARD]
        self._trackers: list[Any] = []
        if not names:
            return
        runs = _runs(names, folder)
        if "wandb" in runs:  # it would write where the process happens to be
            runs["wandb"]["dir"] = str(folder)
        options = {name: {**runs[name], **config.tracker_options.get(name, {})} for name in names}
        accelerator = Accelerator(log_with=names, project_dir=folder)
        try:
            values = dict(_flat(config.model_dump(mode="json")))
            accelerator.init_trackers(config.tracker_project, values, options)
        except Exception as error:
            raise UserError(
                f"a tracker cannot start ({', '.join(names)}): {type(error).__name__}: {error}\n"
                "log in to it, or go offline as it says; or leave it out of `trackers`"
            ) from error
        self._trackers = accelerator.trackers

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Write one iteration's metrics, all of them numbers."""
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, iteration)
        for tracker in self._trackers:
            tracker.log(dict(values), step=iteration)

    def flush(self) -> None:
        """Bring TensorBoard's events to the disk; the others see to it themselves."""
        if self._board is not None:
            self._board.flush()

    def close(self) -> None:
        """End them."""
        if self._board is not None:
            self._board.close()
        for tracker in self._trackers:
            tracker.finish()


def _runs(names: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Tracker -> the arguments of its start that name this run, the same when it is resumed."""
    path, kept = folder / RUNS, {}
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}); delete it: rm {path}") from error
    new = {name: _new_run(name, folder) for name in names if name not in kept}
    if new:
        kept |= new
        with writing(path), replacing(path) as beside:
            beside.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return {name: kept[name] for name in names}


def _new_run(tracker: str, folder: Path) -> dict[str, Any]:
    name, key = folder.name, secrets.token_hex(16)
    return {
        "wandb": {"id": key, "name": name, "resume": "allow"},
        "trackio": {"name": f"{name}-{key[:6]}", "resume": "allow"},
        "swanlab": {"id": key[:21], "experiment_name": name, "resume": "allow"},
        "comet_ml": {"experiment_key": key},
    }.get(tracker, {})


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`method.beta` of {"method": {"beta": ...}}; what is no plain value as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, str | int | float):
            yield prefix + name, value
        else:
            yield prefix + name, json.dumps(value)
