"""Reading the parts of a pipeline's folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from diffusers.utils import logging as of_diffusers
from safetensors import SafetensorError
from transformers.utils import logging as of_transformers

from tdmr1.core.hub import INDEX
from tdmr1.errors import UserError

BARS: tuple[Any, Any] = (of_diffusers, of_transformers)
"""Who shows bars of parts and weights."""


def check_complete(folder: Path) -> None:
    """Look for every part that model_index.json names, before anything large is read.

    Raises:
        UserError: naming what is missing.
    """
    index = read_config(folder / INDEX)
    parts = {name: part for name, part in index.items() if isinstance(part, list) and all(part)}
    missing = [what for name in parts for what in _missing(folder / name)]
    if missing:
        raise UserError(
            f"{folder} is incomplete, it lacks: {', '.join(missing)}; complete it with: "
            f"hf download ORG/NAME --local-dir {folder}"
        )


def left_out(folder: Path) -> dict[str, None]:
    """The parts that model_index.json says the pipeline does without, as diffusers wants it."""
    index = read_config(folder / INDEX)
    return {name: None for name, part in index.items() if part == [None, None]}


def _missing(part: Path) -> Iterator[str]:
    if not any(part.glob("*.json")):
        yield f"{part.name}/"
    elif (part / "config.json").is_file() and not any(part.glob("*.safetensors")):
        yield f"{part.name}/*.safetensors"


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}; download it again") from error
    return config


def fixed_shift(scheduler: Path) -> float | None:
    """The timestep shift of a scheduler; None where it shifts by the number of tokens."""
    config = read_config(scheduler / "scheduler_config.json")
    shift = config.get("shift")
    return None if shift is None or config.get("use_dynamic_shifting") else float(shift)


def read_part(kind: Any, folder: Path, **options: Any) -> Any:  # noqa: ANN401
    """`kind.from_pretrained(folder, **options)`, from safetensors files alone.

    Args:
        kind: a class of diffusers.
        folder: a local one.
        options: of its `from_pretrained`.

    Raises:
        UserError: a file is missing, cut short, or of another class.
    """
    try:
        with _without_bars():
            return kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, **options
            )
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} cannot be read as {kind.__name__}: {error}\n"
            "a file is missing, damaged or of another model; download it again"
        ) from error


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Inside the block nothing redraws the terminal beside the display of the run."""
    shown = [logging for logging in BARS if logging.is_progress_bar_enabled()]
    for logging in shown:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        for logging in shown:
            logging.enable_progress_bar()


def outline_network(
    kind: Any,  # noqa: ANN401
    folder: Path,
    dtype: torch.dtype,
    changes: Mapping[str, Any] | None = None,
) -> Any:  # noqa: ANN401
    """A frozen network of class `kind` on the meta device, from its configuration alone.

    Args:
        kind: a class of diffusers.
        folder: with a config.json.
        dtype: of the weights.
        changes: values that the configuration has otherwise.

    Raises:
        UserError: there is none, or it is one of another class.
    """
    config = read_config(folder / "config.json")
    try:
        with torch.device("meta"):
            network = kind.from_config({**config, **(changes or {})})
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} does not describe a {kind.__name__}: {error}; download it again"
        ) from error
    # Not its own `to`, which warns that it cannot know what `from_pretrained` would do.
    torch.nn.Module.to(network, "meta", dtype)
    return network.requires_grad_(False).eval()


@torch.no_grad()
def draw_weights(network: torch.nn.Module, device: torch.device) -> None:
    """Give an outline random weights, with which its signals neither vanish nor overflow."""
    network.to_empty(device=device)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.dim() > 1:
            tensor.normal_(std=0.02)
        else:
            tensor.fill_(1)  # of a norm; a bias does no harm


def text_encoder_bytes(folder: Path, dtype: torch.dtype) -> dict[str, int]:
    """Class -> bytes of the weights of each text encoder that model_index.json names.

    Raises:
        UserError: one is not of transformers, or cannot be described.
    """
    index = read_config(folder / INDEX)
    sizes: dict[str, int] = {}
    for name, part in index.items():
        if not name.startswith("text_encoder") or not all(part):
            continue
        kind = getattr(transformers, part[1], None)
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            raise UserError(f"{folder / INDEX}: {name} is a {part[1]}, which transformers has not")
        try:
            config = _described_by(kind).from_pretrained(folder / name, local_files_only=True)
            with torch.device("meta"):
                encoder = kind(config)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder / name} does not describe a {part[1]}: {error}; download it again"
            ) from error
        size = sum(p.numel() for p in encoder.parameters()) * dtype.itemsize
        sizes[f"{name} ({part[1]})"] = size
    return sizes


def _described_by(kind: Any) -> Any:  # noqa: ANN401
    """The class of a transformers model's configuration."""
    return kind.config_class


def read_network(kind: Any, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """A frozen network of class `kind`, in evaluation mode.

    Raises:
        UserError: as above; or the files hold other weights, which diffusers only warns of.
    """
    network, info = read_part(kind, folder, dtype=dtype, output_loading_info=True)
    strange = [*info["missing_keys"], *info["unexpected_keys"]]
    if strange:
        verb = "lack" if info["missing_keys"] else "have"
        raise UserError(
            f"the weights in {folder} are not those of its configuration: they {verb} "
            f"{sorted(strange)[0]}; download it again"
        )
    return network.requires_grad_(False).eval()
