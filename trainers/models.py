"""Finding generators: entry points of the group `tdmr1.generators`."""

from __future__ import annotations

from importlib.metadata import entry_points

import torch
from accelerate import Accelerator

from tdmr1.core.generator import Generator
from tdmr1.errors import UserError

ENTRY_POINT_GROUP = "tdmr1.generators"


def load_generator(name: str) -> Generator:
    """Load the generator that a package registered under `name`.

    Raises:
        UserError: there is none, or its package cannot be imported.
    """
    entries = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise UserError(
            f"unknown generator {name!r}; installed: {known}\n"
            "the embedded one comes with: pip install tdmr1-shapes"
        )
    entry = entries[name]
    try:
        factory = entry.load()
    except ImportError as error:
        package = entry.dist.name if entry.dist else entry.module
        raise UserError(
            f"the generator {name!r} cannot be imported: {error}\n"
            f"try: pip install --force-reinstall {package}"
        ) from error
    generator: Generator = factory()
    return generator


def new_accelerator(precision: str, seed: int) -> Accelerator:
    """What every run goes through: device, precision, gradient reduction; and torch's seed.

    Args:
        precision: "no" or "bf16".
        seed: of torch's own random stream, from which adapters are initialised.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    return Accelerator(mixed_precision=precision)


def prepared(generator: Generator, accelerator: Accelerator) -> Generator:
    """The same generator, on the device, its network under autocast.

    Autocast covers one forward pass at a time: a longer block would go on using the low-precision
    copies of parameters that an optimiser has changed since.
    """
    generator.to(accelerator.device)
    network = accelerator.prepare_model(generator.network, evaluation_mode=True)
    generator.network = network
    return generator
