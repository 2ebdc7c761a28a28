"""Samples that a reward can only read: others see the same ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NoReturn

from tdmr1.rewards.contract import Sample

HINT = "a sample's metadata is read-only; change a copy: copy.deepcopy(sample.metadata)"


def _refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise TypeError(HINT)


class ReadOnlyDict(dict[str, Any]):
    """A dict, also to `json` and `isinstance`, that cannot be changed; its copies are plain."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(dict(self), memo)

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (dict(self),)


class ReadOnlyList(list[Any]):
    """A list, likewise."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = _refuse
    clear = reverse = sort = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return copy.deepcopy(list(self), memo)

    def __reduce__(self) -> tuple[type, tuple[list[Any]]]:
        return list, (list(self),)


def read_only(sample: Sample) -> Sample:
    """The same sample as its reward sees it, without the number of its group. Neither its image
    nor its metadata can be written to, at any depth. The caller's own stay as they are."""
    image = sample.image.view()
    image.flags.writeable = False
    return Sample(image, sample.prompt, frozen(sample.metadata), iteration=sample.iteration)


def frozen(value: Any) -> Any:  # noqa: ANN401
    """A read-only copy of JSON; anything else as it is."""
    if isinstance(value, Mapping):
        return ReadOnlyDict({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list):
        return ReadOnlyList(map(frozen, value))
    return tuple(map(frozen, value)) if type(value) is tuple else value
