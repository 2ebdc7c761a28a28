"""Options of a reward: the parameters of its factory that have a default which JSON can hold."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.strict_json import read_json

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    ((list, tuple), "a list"),
    (dict, "a table"),
    (type(None), "anything"),
)
"""Types, those of JSON, and their words; the first that fits, as a bool is an int to Python."""
_SWITCHES = {"on": True, "yes": True, "off": False, "no": False}
"""What else is written for true and false."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a reward.

    Attributes:
        name: of the parameter.
        default: what it is unless set; a value has the same type, or any where this is None.
    """

    name: str
    default: Any

    @property
    def expected(self) -> str:
        """The type of a value, in words."""
        return _kind(self.default)

    def accepts(self, value: object) -> bool:
        """Whether a value has the right type; a whole number is a number, too."""
        if self.default is None:
            return True
        is_whole_number = self.expected == "a number" and _kind(value) == "a whole number"
        return _kind(value) == self.expected or is_whole_number

    def read(self, value: Any) -> Any:  # noqa: ANN401
        """A value as it was meant: on, off, yes and no, where it is true or false."""
        if isinstance(self.default, bool) and isinstance(value, str):
            return _SWITCHES.get(value.lower(), value)
        return value


def options_of(factory: Callable[..., object]) -> list[Option]:
    """The options that a factory of a reward takes."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # written in C, without a signature
        return []
    return [
        Option(p.name, p.default)
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.default is not p.empty
        and _kind(p.default)
    ]


def check_options(
    factory: Callable[..., object], given: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """Hold the options given against those there are.

    Args:
        factory: makes the reward.
        given: option -> value.
        what: the reward, for the error's text.

    Returns:
        Option -> value, as `Option.read` has it.

    Raises:
        RewardOptionInvalid: one is unknown, or its value is of another type.
    """
    return check_given(options_of(factory), given, what)


def check_given(
    there_are: Iterable[Option], given: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """As `check_options`, for options that are known."""
    known = {option.name: option for option in there_are}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise RewardOptionInvalid(f"{what} has no option {name!r}; {_listed(known)}")
        values[name] = known[name].read(value)
        if not known[name].accepts(values[name]):
            raise RewardOptionInvalid(
                f"option {name!r} of {what} is {value!r}; expected {known[name].expected}; "
                f"{_listed(known)}"
            )
    return values


def parse_options(settings: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` each; a value is JSON, or else plain text.

    Raises:
        RewardOptionInvalid: one has no key or no value.
    """
    options: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise RewardOptionInvalid(
                f"--option {setting!r}: write it as key=value, e.g. --option short_side=200"
            )
        try:
            options[name.strip()] = read_json(text)
        except ValueError:
            options[name.strip()] = text
    return options


def _kind(value: object) -> str:
    """The type of a value in words; empty where JSON has none for it."""
    return next((words for types, words in _KINDS if isinstance(value, types)), "")


def _listed(known: Mapping[str, Option]) -> str:
    options = ", ".join(f"{option.name} = {option.default!r}" for option in known.values())
    return f"its options and their defaults: {options}" if options else "it has no options"
