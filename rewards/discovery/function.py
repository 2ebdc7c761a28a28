"""A reward without a package: a function in a file, `--reward ./my.py:score`, or in a module."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from tdmr1.rewards.contract import Reward, Sample, Score
from tdmr1.rewards.discovery.beside import make_importable
from tdmr1.rewards.errors import RewardBroken, RewardNotFound, blaming

ScoreFunction: TypeAlias = Callable[..., Sequence[Score | float | None]]


class FunctionReward(Reward):
    """Makes a reward of a function that does what `Reward.score` does.

    Args:
        name: what the user typed, `./my.py:score`.
        function: takes a list of samples and returns as many scores, numbers or None. Where the
            same samples may get other scores next time, its attribute `repeatable` is false; the
            files that it reads are its attribute `reads`, and one that compares the samples of a
            prompt has a true `grouped`, one that asks people a true `asks`, as in `Reward`.
        options: values of further parameters of the function.
    """

    range = (-math.inf, math.inf)

    def __init__(
        self, name: str, function: ScoreFunction, options: Mapping[str, Any] | None = None
    ) -> None:
        self.name = name
        self.summary = (inspect.getdoc(function) or "").partition("\n")[0]
        self.repeatable = bool(getattr(function, "repeatable", True))
        self.grouped = bool(getattr(function, "grouped", False))
        self.asks = bool(getattr(function, "asks", False))
        self.reads = getattr(function, "reads", None)
        self.function = function
        self.options = dict(options or {})

    def score(self, samples: Sequence[Sample]) -> Sequence[Score | float | None]:
        return self.function(samples, **self.options)


def import_factory(source: str, attribute: str) -> Callable[..., Reward]:
    """Import what makes a reward from a file or a module.

    Args:
        source: `./my.py` or `package.module`.
        attribute: a function, a `Reward` subclass or a `Reward`.

    Raises:
        RewardNotFound: no such file, module or attribute.
        RewardBroken: its code raised, or the attribute cannot be a reward.
    """
    name = f"{source}:{attribute}"
    module = _import_file(source) if source.endswith(".py") else _import_module(source)
    try:
        value = getattr(module, attribute)
    except AttributeError:
        functions = sorted(k for k, v in vars(module).items() if inspect.isfunction(v))
        raise RewardNotFound(
            f"{source} has no {attribute!r}; its functions are: {', '.join(functions) or 'none'}"
        ) from None
    if isinstance(value, Reward):
        return lambda: value
    if inspect.isclass(value) and issubclass(value, Reward):
        return value
    if callable(value):

        @functools.wraps(value)  # the same parameters, as they are the options
        def make(**options: Any) -> Reward:  # noqa: ANN401
            return FunctionReward(name, value, options)

        return make
    raise RewardBroken(
        f"{name} is a {type(value).__name__}; write a function `def {attribute}(samples)` "
        "that returns one number, Score or None per sample"
    )


def _import_file(source: str) -> ModuleType:
    path = Path(source).expanduser()
    if not path.is_file():
        raise RewardNotFound(f"there is no file {source!r} (looked in {path.resolve().parent})")
    spec = importlib.util.spec_from_file_location(f"tdmr1_file_{path.stem}", path)
    assert spec is not None and spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    make_importable(path)
    # Dataclasses look their own module up while they are being defined.
    sys.modules[spec.name] = module
    with blaming(f"{source} cannot be imported"):
        spec.loader.exec_module(module)
    return module


def _import_module(source: str) -> ModuleType:
    with blaming(f"module {source!r} cannot be imported"):
        try:
            module = importlib.import_module(source)
        except ModuleNotFoundError as error:
            # A module that is there but misses another one is broken, not absent.
            if error.name is None or not f"{source}.".startswith(f"{error.name}."):
                raise
            raise RewardNotFound(
                f"there is no module {source!r} in this environment; for a file, write "
                f"--reward ./{source.replace('.', '/')}.py:FUNCTION"
            ) from None
    return module
