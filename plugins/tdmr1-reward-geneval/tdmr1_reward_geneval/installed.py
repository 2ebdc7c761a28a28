"""Detectors of other packages.

# pyproject.toml
[project.entry-points."tdmr1.geneval.detectors"]
mine = "my_package:MyDetector"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from tdmr1.rewards.discovery.options import check_options
from tdmr1_reward_geneval.detector import Detector

ENTRY_POINT_GROUP = "tdmr1.geneval.detectors"


def installed_names() -> list[str]:
    """Of all that are installed; reads metadata alone."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})


def load_detector(name: str, options: Mapping[str, Any]) -> tuple[Detector, Path]:
    """A detector with its options, and the file or folder of its code.

    Args:
        name: one of `installed_names`.
        options: parameters of what is registered.

    Raises:
        ValueError: two packages have one of this name, or it is no `Detector`.
        RewardOptionInvalid: it has no such option, or the value is of another type.
    """
    found = [*entry_points(group=ENTRY_POINT_GROUP, name=name)]
    if len(found) > 1:
        owners = " and ".join(entry.dist.name for entry in found if entry.dist is not None)
        raise ValueError(f"detector={name!r} is brought by {owners}; uninstall one of them")
    factory: Callable[..., object] = found[0].load()
    detector = factory(**check_options(factory, options, f"detector {name!r}"))
    if not isinstance(detector, Detector):
        raise ValueError(
            f"detector={name!r} is a {type(detector).__name__}; its class must derive from "
            "tdmr1_reward_geneval.detector.Detector"
        )
    file = Path(inspect.getfile(factory))
    return detector, file.parent if (file.parent / "__init__.py").exists() else file
