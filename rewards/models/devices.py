"""Where a network of torch computes, and in which numbers, as options name it.

Torch is imported by whoever asks for its own objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")


def check_dtype(name: str) -> None:
    """That it is one of `DTYPES`.

    Raises:
        ValueError: it is none.
    """
    if name not in DTYPES:
        raise ValueError(f"dtype is {name!r}; there are: {', '.join(DTYPES)}")


def dtype_of(name: str) -> torch.dtype:
    """One of `DTYPES`.

    Raises:
        ValueError: it is none.
    """
    import torch

    check_dtype(name)
    found: torch.dtype = getattr(torch, name)
    return found


def device_of(name: str) -> torch.device:
    """A device as torch names it; "auto" is a GPU where there is one.

    Raises:
        ValueError: torch knows no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N") from error
