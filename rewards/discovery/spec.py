"""What `--reward` takes: which reward, with which weight, and where it runs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal, TypeAlias

from tdmr1.rewards.errors import RewardSpecInvalid

EXPECTED = "expected NAME[=WEIGHT][@PLACE], or ./file.py:function, e.g. --reward ocr=0.5@worker"
PLACES = "here, worker, env, http://HOST:PORT[,HOST:PORT], ray or ray:N"
MAX_WEIGHT = 1e6
"""Beyond it advantages are too large for the losses, and lead to infinities there."""

Kind: TypeAlias = Literal["here", "worker", "env", "http", "ray"]
_PLAIN: tuple[Kind, ...] = ("here", "worker", "env", "ray")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")

_FOLDERS = re.compile(r"^.*/(?=[^/]*\.py:)")
_FILE = re.compile(r"\s*(?P<file>\S.*\.py)(?P<rest>:[^\W\d].*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class PlaceSpec:
    """Where a reward runs.

    Attributes:
        kind: "here" in this process, "worker" in a child process, "env" in a child process with
            packages of its own, "http" on servers, "ray" in the actors of a Ray cluster.
        addresses: HOST:PORT of each server, for "http".
        actors: how many, for "ray"; >= 1.
    """

    kind: Kind = "here"
    addresses: tuple[str, ...] = ()
    actors: int = 1

    @classmethod
    def parse(cls, text: str) -> PlaceSpec:
        """Read `here`, `worker`, `env`, `http://HOST:PORT[,HOST:PORT]`, `ray` or `ray:N`.

        Raises:
            RewardSpecInvalid: it is something else.
        """
        kind, _, rest = text.partition(":")
        if kind == "http" and rest.startswith("//"):
            return cls("http", addresses=_addresses(rest[2:], text))
        if kind == "ray" and rest.isdecimal() and int(rest) > 0:
            return cls("ray", actors=int(rest))
        for plain in _PLAIN:
            if text == plain:
                return cls(plain)
        raise RewardSpecInvalid(
            f"there is no place {text!r}; a reward runs @ {PLACES}, e.g. --reward ocr=0.5@worker "
            "(a file whose name has an @ needs its place: --reward ./a@b.py:score@here)"
        )


HERE = PlaceSpec()


@dataclasses.dataclass(frozen=True)
class RewardSpec:
    """One selected reward.

    Attributes:
        name: of an installed reward (`ocr`), of a function in a file (`./my.py:score`) or of a
            function in an importable module (`package.module:score`).
        weight: of this reward's advantages in the sum over rewards; in (0, MAX_WEIGHT].
        place: where it runs.

    Raises:
        RewardSpecInvalid: the name is empty or incomplete, or the weight is out of range.
    """

    name: str
    weight: float = 1.0
    place: PlaceSpec = HERE

    def __post_init__(self) -> None:
        if not self.name:
            raise RewardSpecInvalid(f"a reward needs a name: {EXPECTED}")
        if self.name.endswith(".py"):
            raise RewardSpecInvalid(
                f"which function of {self.name!r}? Write --reward {self.name}:score"
            )
        if self.function is not None and not all(self.function):
            raise RewardSpecInvalid(f"reward {self.name!r} is incomplete: {EXPECTED}")
        if not 0 < self.weight <= MAX_WEIGHT:
            raise RewardSpecInvalid(
                f"reward {self.name!r} has weight {self.weight:g}; a weight is > 0 and at most "
                f"{MAX_WEIGHT:g} (to leave a reward out, do not name it)"
            )

    @classmethod
    def parse(cls, text: str, place: PlaceSpec = HERE) -> RewardSpec:
        """Read `NAME[=WEIGHT][@PLACE]`.

        The place follows the last `@`, the weight the last `=` before it.

        Args:
            text: what the user typed.
            place: where the reward runs if the text does not say.

        Raises:
            RewardSpecInvalid: as for the class; the weight is not a number, or there is no such
                place.
        """
        before, at, after = text.strip().rpartition("@")
        if at:
            place, text = PlaceSpec.parse(after.strip()), before
        name, equals, weight = text.strip().rpartition("=")
        if not equals:
            return cls(weight, place=place)
        try:
            return cls(name.strip(), float(weight), place)
        except ValueError:
            raise RewardSpecInvalid(
                f"the weight {weight!r} in --reward {text!r} is not a number: {EXPECTED}"
            ) from None

    @property
    def function(self) -> tuple[str, str] | None:
        """(file or module, attribute) of a reward that is not an installed one, else None."""
        source, colon, attribute = self.name.rpartition(":")
        return (source, attribute) if colon else None


def absolute_source(text: str) -> str:
    """The same reward, or gate, from any folder: the file of a function becomes an absolute path.

    That of a reward on a server is the server's, and stays. Reads `NAME...` and checks nothing.
    """
    if (found := _FILE.match(text)) is None or "@http:" in found["rest"]:
        return text
    return f"{Path(found['file']).expanduser().absolute()}{found['rest']}"


def shown(name: str) -> str:
    """A reward's name, or a gate; of a function in a file without the folders that it lies in."""
    return _FOLDERS.sub("", name)


def _addresses(text: str, place: str) -> tuple[str, ...]:
    addresses = [address.strip() for address in text.rstrip("/").split(",")]
    for address in addresses:
        port = _ADDRESS.fullmatch(address)
        if port is None or not 0 < int(port[1]) < 2**16:
            raise RewardSpecInvalid(
                f"{address!r} in @{place} is not HOST:PORT; write e.g. "
                "--reward ocr@http://127.0.0.1:8000,127.0.0.1:8001"
            )
    if len(set(addresses)) < len(addresses):
        raise RewardSpecInvalid(f"@{place} names an address twice")
    return tuple(addresses)
