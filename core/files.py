"""Tensors in files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tdmr1.errors import UserError
from tdmr1.files import replacing


def write_torch(state: dict[str, Any], path: Path) -> None:
    """`torch.save`, atomically. Read it back with `weights_only=True`."""
    with replacing(path) as beside:
        torch.save(state, beside)


def damaged(file: Path, error: Exception) -> UserError:
    """The error for a file of tensors that cannot be read."""
    return UserError(f"{file} is damaged or cut short ({error}); make or download it again")
