"""Finding generators: entry points of the group `tdmr1.generators`.

Their names are generators that need nothing else (`shapes`), and classes of diffusers' pipelines
(`StableDiffusion3Pipeline`): a folder or a Hub id goes to the generator of its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from tdmr1.core.compiled import compile_blocks
from tdmr1.core.generator import Generator
from tdmr1.core.hub import outline_folder, pipeline_folder, pipeline_layout
from tdmr1.core.options import Options
from tdmr1.core.sharding import share_out
from tdmr1.errors import UserError
from tdmr1.installed import entry_points
from tdmr1.missing import remedy
from tdmr1.progress import task
from tdmr1.trainers.config import Config, validated
from tdmr1.trainers.environment import computes_in_bfloat16
from tdmr1.trainers.memory import keep_freed_memory
from tdmr1.trainers.presets import ENTRY_POINT_GROUP, configurations
from tdmr1.trainers.processes import Joined, Processes


def load_generator(model: str, options: Mapping[str, Any] | None = None) -> Generator:
    """Load a generator.

    Args:
        model: the name under which a package registered one that needs nothing else; or a
            pipeline of diffusers, a Hub id or a folder, for whose class one is registered.
        options: of the generator itself, by name.

    Raises:
        UserError: there is none; it cannot be read, or its package cannot be imported; or an
            option is unknown or impossible.
    """
    if _configuration(model) is not None:
        raise UserError(
            f"{model} is a configuration without weights, for `tdmr1 plan` and `tdmr1 bench "
            "--random-weights`; name the model itself: a Hub id ORG/NAME, or a folder"
        )
    kind, chosen = _kind(model, options)
    with task(f"loading {model}"):
        return kind.load(None if model in _installed() else pipeline_folder(model), chosen)


def random_generator(
    model: str, options: Mapping[str, Any] | None, device: torch.device
) -> Generator:
    """The same generator with random weights, for `tdmr1 bench`; of a model of the Hub the
    configurations alone are downloaded.

    Args:
        model, options: as above; or the name of a configuration that a package brings.
        device: where it is then.

    Raises:
        UserError: as above, or the generator is not one whose weights can be left out.
    """
    kind, chosen = _kind(model, options)
    with task(f"drawing weights of {model}"):
        return kind.with_random_weights(_outline_folder(model), chosen, device)


def outline(model: str, options: Mapping[str, Any] | None = None) -> Generator:
    """The same generator for `tdmr1 plan`; of a model of the Hub the configurations alone are
    downloaded.

    Args:
        model, options: as above; or the name of a configuration that a package brings.

    Raises:
        UserError: as above.
    """
    kind, chosen = _kind(model, options)
    return kind.outline(_outline_folder(model), chosen)


def _outline_folder(model: str) -> Path | None:
    if model in _installed():
        return None
    return _configuration(model) or outline_folder(model)


def _configuration(model: str) -> Path | None:
    """The folder of a configuration that a package brings under the name `model`."""
    return configurations().get(model)


def generator_type(model: str) -> type[Generator]:
    """The class of a generator; nothing of it is read.

    Raises:
        UserError: there is none, or its package cannot be imported.
    """
    entries = _installed()
    if model in entries:
        entry = entries[model]
    elif (folder := _configuration(model)) is not None:
        entry = _entry_for(pipeline_layout(str(folder)), model, entries)
    elif "/" in model or Path(model).is_dir():
        entry = _entry_for(pipeline_layout(model), model, entries)
    else:
        raise UserError(
            f"unknown generator {model!r}; installed: {_names(entries)}\n"
            "or name a pipeline of diffusers: a Hub id ORG/NAME, or a folder; "
            "the embedded one comes with: pip install tdmr1-shapes"
        )
    return _imported(entry)


def _kind(model: str, options: Mapping[str, Any] | None) -> tuple[type[Generator], Options]:
    kind = generator_type(model)
    return kind, validated(kind.options, options or {}, within="generator")


def package_of(model: str) -> Distribution | None:
    """The package that registered a generator under the name `model`; None for a pipeline."""
    entry = _installed().get(model)
    return None if entry is None else entry.dist


def located(config: Config) -> Config:
    """The same configuration with the paths among its generator's own options made absolute.

    Raises:
        UserError: as `load_generator`.
    """
    _, chosen = _kind(config.model, config.generator)
    own = chosen.model_dump(mode="json", include=set(config.generator))
    return config.model_copy(update={"generator": own})


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(ENTRY_POINT_GROUP)}


def _names(entries: Mapping[str, EntryPoint]) -> str:
    return ", ".join(sorted(entries)) or "none"


def _entry_for(layout: str, model: str, entries: Mapping[str, EntryPoint]) -> EntryPoint:
    if layout not in entries:
        raise UserError(
            f"{model} is a {layout}, for which no generator is installed; there are: "
            f"{_names(entries)}\n"
            "Stable Diffusion 3, 3.5 and Z-Image come with: pip install tdmr1-diffusers\n"
            "FLUX.2 klein comes with: pip install tdmr1-flux2"
        )
    return entries[layout]


def _imported(entry: EntryPoint) -> type[Generator]:
    try:
        kind: type[Generator] = entry.load()
    except ImportError as error:
        advice = remedy(error, entry.dist.name if entry.dist else "")
        raise UserError(
            f"the generator {entry.name!r} cannot be imported: {error}\ntry: {advice}"
        ) from error
    return kind


def new_accelerator(precision: str, seed: int, processes: Processes | None = None) -> Accelerator:
    """What every run goes through: device, precision, gradient reduction; and torch's seed.

    Args:
        precision: "auto", "no" or "bf16".
        seed: of torch's own random stream, from which adapters are initialised.
        processes: that train together; by default this one alone.
    """
    torch.set_flush_denormal(True)
    keep_freed_memory()
    torch.manual_seed(seed)
    # Without `cpu`, Accelerate sees one process wherever there is no GPU.
    cpu = isinstance(processes, Joined) and not torch.cuda.is_available()
    accelerator = Accelerator(mixed_precision=mixed_precision(precision), cpu=cpu)
    if isinstance(processes, Joined):
        assert accelerator.num_processes == processes.count, "Accelerate sees the process group"
        # Those whose waiting can be interrupted.
        accelerator.reduce, accelerator.gather = processes.reduce, processes.rows
    return accelerator


def mixed_precision(precision: str) -> str:
    """What Accelerate is given: for "auto" bf16, where the hardware computes in it, or "no"."""
    if precision != "auto":
        return precision
    return "bf16" if computes_in_bfloat16() else "no"


def prepared(
    generator: Generator,
    accelerator: Accelerator,
    *,
    shard: bool = False,
    compiled: bool = False,
) -> Generator:
    """The same generator, on the device, its network under autocast.

    Autocast covers one forward pass at a time: a longer block would go on using the low-precision
    copies of parameters that an optimiser has changed since.

    With `shard` each process keeps a share of the network's weights, and two blocks at most are
    ever whole on its device. With `compiled` the network's blocks are.

    Raises:
        UserError: `shard` would save nothing; or nothing can be compiled here.
    """
    if shard:
        if accelerator.mixed_precision == "bf16" and _dtypes(generator) != {torch.bfloat16}:
            raise UserError(
                "--shard: in precision=bf16 each process would keep a copy of all weights of a "
                "network that is not in bfloat16; set generator.dtype=bfloat16, or precision=no"
            )
        share_out(generator.network, accelerator.device, accelerator.num_processes)
    generator.to(accelerator.device)
    network = accelerator.prepare_model(generator.network, evaluation_mode=True)
    generator.network = network
    if compiled:
        with task("trying the compiler"):
            compile_blocks(network, accelerator.device)
    return generator


def _dtypes(generator: Generator) -> set[torch.dtype]:
    return {parameter.dtype for parameter in generator.network.parameters()}
