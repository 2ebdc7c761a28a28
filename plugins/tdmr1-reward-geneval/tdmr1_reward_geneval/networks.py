"""Load a network of transformers whole, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel
from transformers.utils import logging as of_transformers

from tdmr1_reward_geneval.detector import DetectorError

Network = TypeVar("Network", bound=PreTrainedModel)

OF_TRAINING = "criterion."
"""Of a loss, which is nothing to inference and need not be in a file."""


def device_of(name: str) -> torch.device:
    """A device as torch names it; "auto" is a GPU where there is one.

    Raises:
        DetectorError: torch knows no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise DetectorError(
            f"device={name!r} is none; expected auto, cpu, cuda or cuda:N"
        ) from error


def loaded(kind: type[Network], folder: Path, device: torch.device, dtype: torch.dtype) -> Network:
    """A network with its weights, for inference.

    Raises:
        DetectorError: the files cannot be read, or are not all of this network's weights, which
            transformers would replace by random numbers.
    """
    try:
        with _without_bars():
            read: Any = kind.from_pretrained(
                folder, dtype=dtype, local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # of whatever reads the file: always the same way out
        raise DetectorError(f"the weights in {folder} cannot be loaded: {error}") from error
    network, told = read
    missing = sorted(key for key in told["missing_keys"] if not key.startswith(OF_TRAINING))
    if missing:
        raise DetectorError(
            f"the weights in {folder} are not all of a {kind.__name__}: {len(missing)} are "
            f"missing, {missing[0]} for one; download them again"
        )
    placed: Network = network.to(device).eval()
    return placed


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Inside the block nothing redraws the terminal beside the display of the run."""
    logging: Any = of_transformers
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
