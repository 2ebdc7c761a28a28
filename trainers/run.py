"""The run folder: everything a run leaves behind.

    config.json          the resolved options
    environment.json     versions and machine
    metrics.jsonl        one line an iteration
    tensorboard/         the same as events
    images/              grids of the same noise
    checkpoints/         the last few, to continue from
    lora/                the trained student, for diffusers
    evaluation.json      the figures of the final table
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from tdmr1.core.files import replacing
from tdmr1.errors import UserError
from tdmr1.trainers.checkpoint import list_checkpoints, read_tree, write_checkpoint
from tdmr1.trainers.config import RunOptions

EVALUATION = "evaluation.json"
PACKAGES = ("tdmr1", "torch", "diffusers", "transformers", "peft", "accelerate", "numpy")


class RunFolder:
    """A folder of its own for every run.

    Args:
        path: where; made by `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.images = path / "images"
        self.lora = path / "lora"
        self._writer: SummaryWriter | None = None

    @classmethod
    def create(cls, path: Path, config: RunOptions, kind: str) -> RunFolder:
        """A new run.

        Raises:
            UserError: the folder exists and is not empty.
        """
        if path.exists() and any(path.iterdir()):
            raise UserError(
                f"{path} exists already; continue it with: tdmr1 {kind} --resume {path}\n"
                "or choose another folder with --out"
            )
        run = cls(path)
        run.write_json("config.json", {"kind": kind, **config.model_dump(mode="json")})
        run.write_json("environment.json", environment())
        return run

    def read_config(self, kind: str) -> dict[str, Any]:
        """The options that the run was started with.

        Raises:
            UserError: there is no run in this folder, or one of another kind.
        """
        if self.kind != kind:
            raise UserError(f"{self.path} is a run of `tdmr1 {self.kind}`, not of `tdmr1 {kind}`")
        config = self.read_json("config.json")
        del config["kind"]
        return config

    @property
    def kind(self) -> str:
        """"train" or "distill"."""
        return str(self.read_json("config.json")["kind"])

    def read_json(self, name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(f"{self.path} is not a run folder: {name}: {error}") from error
        return content

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        with replacing(self.path / name) as beside:
            beside.write_text(json.dumps(content, indent=2) + "\n")

    def log(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Append one iteration's metrics to metrics.jsonl and to TensorBoard."""
        line = json.dumps({"iteration": iteration, **metrics})
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")
        if self._writer is None:
            self._writer = SummaryWriter(str(self.path / "tensorboard"))
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, iteration)

    def forget_after(self, iteration: int) -> None:
        """Drop metrics from `iteration` on: they belong to work that was lost with a kill."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if _iteration(line) < iteration]
            with replacing(path) as beside:
                beside.write_text("".join(kept))

    def save(self, state: dict[str, Any], iteration: int, keep: int) -> Path:
        """Write a checkpoint after `iteration` iterations."""
        return write_checkpoint({"iteration": iteration, **state}, self.checkpoints, iteration, keep)

    def last_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint, or None before the first.

        Raises:
            UserError: it is damaged.
        """
        found = list_checkpoints(self.checkpoints)
        return read_tree(found[-1]) if found else None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def environment() -> dict[str, Any]:
    """Versions and machine, for whoever wants to repeat the run."""
    return {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "cpu": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "disk_free_bytes": shutil.disk_usage(".").free,
    }


def _iteration(line: str) -> float:
    try:
        return float(json.loads(line)["iteration"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")
