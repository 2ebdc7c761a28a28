"""Finding generators: entry points of the group `tdmr1.generators`."""

from __future__ import annotations

from importlib.metadata import entry_points

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
    try:
        factory = entries[name].load()
    except ImportError as error:
        raise UserError(f"the generator {name!r} cannot be imported: {error}") from error
    generator: Generator = factory()
    return generator
