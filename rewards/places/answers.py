"""What a reward may answer. Nothing that it returns is believed before it has been looked at."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, cast

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid
from tdmr1.rewards.texts import plain, shown

LARGEST = 1e100
"""Of a score: the squares of such numbers, and sums of many of them, are finite in float64."""

LONGEST = 65_536
"""Characters of a score's details as JSON."""


def checked(
    answer: object, samples: Sequence[Sample], name: str, range: tuple[float, float]
) -> list[Score | None]:
    """The answer as one `Score` or abstention per sample, in order.

    Args:
        answer: whatever `Reward.score` returned for `samples`.
        samples: N of them.
        name: of the reward, for the text of an error.
        range: the smallest and the largest value that the reward may return.

    Returns:
        N outcomes; a value is a finite float in `range`, a verdict a bool or None.

    Raises:
        RewardAnswerInvalid: it is anything else; names the reward, the sample and the value.
    """
    answer = _numbers(answer)
    if not isinstance(answer, Sequence) or isinstance(answer, str):
        raise RewardAnswerInvalid(
            f"reward {name!r} returned a {type(answer).__name__} instead of a list"
        )
    if len(answer) != len(samples):
        raise RewardAnswerInvalid(
            f"reward {name!r} returned {len(answer)} scores for {len(samples)} samples"
        )
    scores = []
    for index, value in enumerate(answer):
        try:
            scores.append(_score(value, range))
        except ValueError as error:
            what, hint = error.args
            raise RewardAnswerInvalid(
                f"reward {name!r} returned {what} for {described(samples, index)}{hint}"
            ) from None
    return scores


def checked_figures(told: object, name: str) -> dict[str, float]:
    """What a reward says of itself as text -> finite number.

    Args:
        told: whatever `Reward.figures` returned.
        name: of the reward, for the text of an error.

    Raises:
        RewardAnswerInvalid: it is anything else; names the reward, the figure and the value.
    """
    if not isinstance(told, Mapping):
        raise RewardAnswerInvalid(
            f"`figures` of reward {name!r} returned {shown(told)} instead of a dict"
        )
    figures = {}
    for figure, value in told.items():
        number = _numbers(value)
        finite = isinstance(number, Real) and abs(number) <= LARGEST  # type: ignore[operator]
        if not isinstance(figure, str) or not finite:
            raise RewardAnswerInvalid(
                f"`figures` of reward {name!r} has {shown(figure)}: {shown(value)}; expected a "
                "text and a finite number, and nothing of what is not known"
            )
        figures[plain(figure)] = float(number)
    return figures


def described(samples: Sequence[Sample], index: int | None = None) -> str:
    """Samples in the words of an error: one of them, or all."""
    if len(samples) == 1:
        return f'"{plain(samples[0].prompt)}"'
    if index is None:
        return f"{len(samples)} samples"
    return f'sample {index} ("{plain(samples[index].prompt)}")'


def _score(answer: object, range: tuple[float, float]) -> Score | None:
    """One outcome; a ValueError has two arguments: what was returned, and what to do about it."""
    if (answer := _numbers(answer)) is None:
        return None
    score = answer if isinstance(answer, Score) else Score(cast(float, answer))
    value, passed = _numbers(score.value), _numbers(score.passed)
    if not isinstance(value, Real):
        column = "; of an array or tensor with a column return .flatten()"
        is_column = isinstance(value, list) and len(value) == 1
        raise ValueError(shown(answer), f"; expected a number{column if is_column else ''}")
    if not isinstance(score.reason, str):
        raise ValueError(shown(answer), "; expected a text as its reason")
    if not isinstance(passed, bool | None):
        raise ValueError(shown(answer), "; expected a bool or None as its verdict")
    try:
        value, (low, high) = float(value), range
    except OverflowError:  # of a whole number or a fraction
        raise ValueError("a number that is too large", "") from None
    if not math.isfinite(value):
        raise ValueError(f"{value}", "; to abstain, return None")
    if abs(value) > LARGEST:
        raise ValueError(f"{value:g}", f"; a score lies within {LARGEST:g} of 0")
    if not low <= value <= high:
        raise ValueError(f"{value:g}", f", outside [{low:g}, {high:g}]")
    return Score(value, plain(score.reason), passed, _plain_details(score.details))


def _plain_details(details: object) -> dict[str, Any]:
    """As JSON has them; a ValueError as of `_score`."""
    try:
        text = json.dumps(details, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"details that are no JSON ({error})", "") from None
    if not isinstance(details, Mapping) or len(text) > LONGEST:
        raise ValueError(
            f"details of {len(text)} characters as a {type(details).__name__}",
            f"; expected a dict, of at most {LONGEST} as JSON",
        )
    found: dict[str, Any] = json.loads(text)
    return found


def _numbers(value: Any) -> Any:  # noqa: ANN401
    """Python's own numbers, and lists of them, from arrays and tensors, on whatever device; all
    else as it is. Their types are not named, as importing torch takes seconds."""
    try:
        return value.tolist()
    except Exception:  # it is none, or has no numbers to give
        return value
