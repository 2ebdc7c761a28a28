"""What a run and a reward that works elsewhere say to each other, as headers of the wire.

A run asks a child, first of all, to load a reward, and to look for it where the run does

    {"op": "load", "reward": "ocr", "options": {"short_side": 200}, "path": null or [...]}

and the child introduces itself, as a server does when asked `{"op": "info"}`:

    {"info": {"name": "ocr", "range": [0.0, 1.0], "higher_is_better": true, "repeatable": true,
              "version": "0.1.0", "contract": 1, "options": {"short_side": 200},
              "source": "9f86d081...", "cacheable": true, "grouped": false, "asks": false}}

A side of the range that has no limit is null. Then the run asks to score N samples

    {"op": "score", "samples": [...]}

and gets N outcomes, or an error whose kind is the name of one of those in `errors.py`:

    {"scores": [...]}
    {"scores": [...], "figures": {"votes": 120.0}}
    {"error": {"kind": "RewardFailed", "text": "reward 'ocr' failed on 96 samples: ..."}}

It may also ask whether the reward judges N prompts, and gets, for each, whether it has an opinion,
or why it would fail:

    {"op": "judge", "prompts": [{"prompt": "two stars", "metadata": {...}}, ...]}
    {"judges": [true, false, "reward 'geneval' cannot judge ..."]}

A server is also told the reward that is meant, `"reward": "ocr"`, its `"source"` and `"options"`,
as it was first introduced; the seconds in which it has to score, `"seconds": 60.0`, and those in
which the turn of these samples has to come, `"patience": 60.0`. Between a process and its child
the body does not travel: it lies in memory that both map, whose file descriptor comes with the
frame's first byte, and `"memory": 75497472` says how long it is. If the reward still holds images
when it has answered, the child's answer says `"kept": true`, and that memory is not written again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tdmr1.rewards import errors
from tdmr1.rewards.contract import CONTRACT_VERSION, Sample, Score
from tdmr1.rewards.errors import (
    RewardAnswerInvalid,
    RewardError,
    RewardFailed,
    RewardRefused,
)
from tdmr1.rewards.places.answers import checked, checked_figures
from tdmr1.rewards.places.base import Judged, RewardInfo
from tdmr1.rewards.places.wire import (
    FrameInvalid,
    Header,
    describe_samples,
    pack_scores,
    unpack_scores,
)
from tdmr1.rewards.prompts import PromptLine
from tdmr1.rewards.texts import plain

CONTENT_TYPE = "application/x-tdmr1-frame"
"""Of a frame over HTTP."""
MAX_MESSAGE = 32_000
"""Characters of an error: the text of an exception, and the last lines of a process's output."""

_KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, RewardError)
}
"""The errors that keep their type on the way."""


def authorization(token: str) -> str:
    """The header of HTTP that shows a token.

    Raises:
        RewardRefused: no header can hold it.
    """
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise RewardRefused(
            "the token, TDMR1_TOKEN, is not made of ASCII characters alone, without spaces around "
            "them; choose another, here and there, e.g. TDMR1_TOKEN=$(openssl rand -hex 16)"
        )
    return f"Bearer {token}"


def load_request(name: str, options: Mapping[str, Any], path: Sequence[str] | None) -> Header:
    """Asks a child to load a reward; the path, where there is one, becomes its `sys.path`."""
    return {"op": "load", "reward": name, "options": dict(options), "path": path}


def score_request(samples: Sequence[Sample], memory: bool = False) -> Header:
    """Asks to score samples, whose pixels are the frame's body, or in memory.

    Raises:
        FrameInvalid: an image is not uint8 (height, width, 3).
    """
    header: Header = {"op": "score", "samples": describe_samples(samples)}
    if memory:
        header["memory"] = sum(sample.image.size for sample in samples)
    return header


def judge_request(prompts: Sequence[PromptLine]) -> Header:
    """Asks whether the reward judges prompts."""
    entries = [{"prompt": p.text, "metadata": dict(p.metadata)} for p in prompts]
    return {"op": "judge", "prompts": entries}


def read_prompts(header: Header) -> list[PromptLine]:
    """The prompts that such a request asks about; raises FrameInvalid where it has none."""
    match header.get("prompts"):
        case [*entries]:
            return [_prompt(entry, i) for i, entry in enumerate(entries)]
        case _:
            raise FrameInvalid("`prompts` is not a list")


def judged_message(answers: Sequence[Judged]) -> Header:
    """The answer to it."""
    return {"judges": [a if isinstance(a, bool) else plain(str(a), MAX_MESSAGE) for a in answers]}


def info_message(info: RewardInfo) -> Header:
    """How the other side introduces itself."""
    finite = [value if math.isfinite(value) else None for value in info.range]
    return {"info": {**dataclasses.asdict(info), "range": finite}}


def scores_message(
    scores: Sequence[Score | None], figures: Mapping[str, float] | None = None
) -> Header:
    """The answer to a batch; the scores are checked, and so is what the reward says of itself."""
    return {"scores": pack_scores(scores)} | ({"figures": dict(figures)} if figures else {})


def error_message(error: Exception) -> Header:
    """An error; one that is not a `RewardError` goes as that."""
    kind = type(error).__name__
    return {
        "error": {
            "kind": kind if kind in _KINDS else "RewardError",
            "text": plain(str(error), MAX_MESSAGE),
        }
    }


@contextlib.contextmanager
def sendable(name: str) -> Iterator[None]:
    """What cannot be put into a frame within the block is the run's fault.

    Raises:
        RewardRefused: it cannot; says why.
    """
    try:
        yield
    except FrameInvalid as error:
        raise RewardRefused(f"reward {name!r} cannot be sent this: {error}") from None


def read_info(header: Header, name: str) -> RewardInfo:
    """Who is on the other side.

    Args:
        header: what it answered.
        name: of the reward that should be there.

    Raises:
        RewardError: what it says is wrong on its side.
        RewardRefused: it is another reward, speaks another contract, or is of a tdmr1 that knows
            of no grouped rewards.
        FrameInvalid: it says nothing of the kind.
    """
    raise_error(header)
    match header.get("info"):
        case {"name": str(), "contract": int(), **said} if "grouped" not in said:
            raise RewardRefused(
                f"reward {name!r} runs elsewhere with an older tdmr1, which does not say whether "
                "it compares the samples of a prompt; install the same version on both sides"
            )
        case {
            "name": str(its_name),
            "range": [low, high],
            "higher_is_better": bool(higher_is_better),
            "repeatable": bool(repeatable),
            "grouped": bool(grouped),
            "version": str(version),
            "contract": int(contract),
            "options": dict(options),
            "source": str(source),
            "cacheable": bool(cacheable),
            **said,
        }:
            info = RewardInfo(
                name=its_name,
                range=(_limit(low, -math.inf), _limit(high, math.inf)),
                higher_is_better=higher_is_better,
                repeatable=repeatable,
                grouped=grouped,
                version=version,
                contract=contract,
                options=options,
                source=source,
                cacheable=cacheable,
                asks=said.get("asks") is True,  # an older side has none that does
            )
        case _:
            raise FrameInvalid("it does not say which reward it is")
    if info.contract != CONTRACT_VERSION:
        raise RewardRefused(
            f"reward {name!r} runs elsewhere with contract {info.contract}, and here is contract "
            f"{CONTRACT_VERSION}; install the same version of tdmr1 on both sides"
        )
    if info.name != name:
        raise RewardRefused(f"asked for reward {name!r}, and found reward {info.name!r} there")
    return info


def read_scores(header: Header, samples: Sequence[Sample], info: RewardInfo) -> list[Score | None]:
    """The outcomes of `samples`, checked once more on this side.

    Raises:
        RewardError: what the other side says went wrong.
        FrameInvalid: it answered something else than N scores, finite and in range.
    """
    raise_error(header)
    scores = unpack_scores(header.get("scores"))
    try:
        return checked(scores, samples, info.name, info.range)
    except RewardAnswerInvalid as error:
        # The other side has checked already: what arrives wrong was not said by the reward.
        raise FrameInvalid(str(error)) from None


def read_figures(header: Header, info: RewardInfo) -> dict[str, float]:
    """What the reward says of itself beside its scores; nothing where it says nothing.

    Raises:
        FrameInvalid: they are no texts with finite numbers.
    """
    try:
        return checked_figures(header.get("figures", {}), info.name)
    except RewardAnswerInvalid as error:
        raise FrameInvalid(str(error)) from None


def read_judged(header: Header, prompts: Sequence[PromptLine]) -> list[Judged]:
    """What the reward says of `prompts`.

    Raises:
        RewardError: what the other side says went wrong.
        FrameInvalid: it answered something else than N bools and texts.
    """
    raise_error(header)
    answers = header.get("judges")
    if not isinstance(answers, list) or len(answers) != len(prompts):
        raise FrameInvalid(f"`judges` is not a list of {len(prompts)}")
    if not all(isinstance(answer, bool | str) for answer in answers):
        raise FrameInvalid("`judges` has more than true, false and texts")
    return [a if isinstance(a, bool) else RewardFailed(plain(a, MAX_MESSAGE)) for a in answers]


def raise_error(header: Header) -> None:
    """Raise what the other side reports, a `RewardError`; nothing where it reports nothing."""
    match header.get("error"):
        case None:
            return
        case {"kind": str(kind), "text": str(text)} if kind in _KINDS:
            raise _KINDS[kind](plain(text, MAX_MESSAGE))
        case _:
            raise FrameInvalid("it reports an error of an unknown kind")


def _prompt(entry: object, index: int) -> PromptLine:
    match entry:
        case {"prompt": str(prompt), "metadata": dict(metadata)}:
            return PromptLine(prompt, metadata)
        case _:
            raise FrameInvalid(f"prompt {index} is not one")


def _limit(value: object, unlimited: float) -> float:
    if value is None:
        return unlimited
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise FrameInvalid(f"its range has the limit {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise FrameInvalid("its range has a limit that is too large") from None
