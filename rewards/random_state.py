"""A random state of the rewards' own, beside that of the training.

Code of a reward may draw from the streams that all code of a process shares, those of Python,
NumPy and torch, and may seed them. Inside `own_random_state` they begin at the same place every
time; after it they go on as if nothing had been. So a reward is the same wherever it runs,
whatever else draws there, and in a run that is resumed; and a training is the same whatever its
rewards draw.

A stream of a process cannot be split by threads: one reward at a time has them. The training draws
from generators of its own alone while rewards score (`tdmr1.core.draws`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import random
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SEED = 0
"""Where the streams begin whenever a reward is imported, made or asked."""

_turn = threading.RLock()
_thread = threading.local()


@contextlib.contextmanager
def own_random_state() -> Iterator[None]:
    """Inside the block the shared streams are the rewards', from their beginning on.

    Waits for other threads inside such a block. In a thread `of_the_same_reward` it does nothing.
    """
    if getattr(_thread, "is_inside", False):
        yield
        return
    import numpy as np  # `tdmr1 rewards list` need not

    with _turn, contextlib.ExitStack() as afterwards:
        afterwards.callback(random.setstate, random.getstate())
        afterwards.callback(np.random.set_state, np.random.get_state())
        if (torch := _torch()) is not None:
            afterwards.callback(_set_torch_state, torch, *_torch_state(torch))
        else:
            afterwards.enter_context(_TorchSeeded())
        begin_again()
        yield


def begin_again() -> None:
    """Put the shared streams at their beginning; only inside `own_random_state`."""
    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)
    if (torch := _torch()) is not None:
        torch.manual_seed(SEED)


@contextlib.contextmanager
def of_the_same_reward() -> Iterator[None]:
    """Marks this thread as one that works for a thread which is inside `own_random_state`."""
    _thread.is_inside = True
    try:
        yield
    finally:
        _thread.is_inside = False


def _torch() -> Any:  # noqa: ANN401
    """The module, where somebody has imported it, to the end."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "manual_seed") and hasattr(torch, "cuda") else None


def _torch_state(torch: Any) -> tuple[Any, int, Any]:  # noqa: ANN401
    """Of the CPU: its state, its seed; of all GPUs, or None where they are not in use yet."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.get_rng_state(), torch.initial_seed(), gpus


def _set_torch_state(torch: Any, cpu: Any, seed: int, gpus: Any) -> None:  # noqa: ANN401
    torch.set_rng_state(cpu)
    if gpus is None:  # they begin at the seed, now or when they are first used
        torch.cuda.manual_seed_all(seed)
    else:
        torch.cuda.set_rng_state_all(gpus)


class _TorchSeeded(MetaPathFinder):
    """Inside the block an import of torch ends with its seeding, as it begins anywhere."""

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: Any) -> None:  # noqa: ANN401
            del loader.exec_module
            run(module)
            module.manual_seed(SEED)

        loader.exec_module = exec_module
        return spec
