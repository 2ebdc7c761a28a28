"""Where a run computes: versions, machine, threads. Elsewhere it comes to other bits."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch

from tdmr1.installed import entry_points

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "numpy")
PLUGINS = ("tdmr1.generators", "tdmr1.rewards")


def environment() -> dict[str, Any]:
    """That of this process, for whoever wants to repeat the run."""
    plugins = [e.dist for group in PLUGINS for e in entry_points(group)]
    names = [*dict.fromkeys(["tdmr1", *(d.name for d in plugins if d is not None), *PACKAGES])]
    return {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in names},
        "machine": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": computes_in_bfloat16(),
    }


def computes_in_bfloat16() -> bool:
    """Whether bfloat16 is arithmetic of this machine's own, not emulated and slower than float32.

    Of a processor some versions of torch cannot tell; then it is taken to have none.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    told: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(told.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def changes_since(before: Mapping[str, Any]) -> list[str]:
    """What is other here than in the environment where a run began, in words."""
    old, new = _flat(before), _flat(environment())
    return [
        f"{name} {new.get(name)}, not {old.get(name)}"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def versions_of(environment: Mapping[str, Any]) -> dict[str, str]:
    """Of this package and its plugins, in what `environment` says."""
    packages: dict[str, str] = environment["packages"]
    return {name: version for name, version in packages.items() if name.startswith("tdmr1")}


def machine_of(environment: Mapping[str, Any]) -> str:
    """What `environment` computes on, in words."""
    threads = environment["threads"]
    words = [environment["gpu"] or environment["cpu"]]
    words.append("1 thread" if threads == 1 else f"{threads} threads")
    return ", ".join(words if environment["bfloat16"] else [*words, "no bfloat16"])


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Packages beside the rest."""
    rest = {name: value for name, value in environment.items() if name != "packages"}
    return {**environment.get("packages", {}), **rest}
