"""What a reward says of the same pictures with several values of one option."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from statistics import fmean

from tdmr1.rewards.offline.pairing import Picture
from tdmr1.rewards.offline.score import summarize
from tdmr1.rewards.offline.scorefile import ScoreFile, ScoreLine
from tdmr1.rewards.offline.variants import TimedScorer, Variant


@dataclasses.dataclass(frozen=True)
class Figures:
    """What the reward says of the pictures with one of the values.

    Attributes:
        value: as it was typed.
        mean: of the scores; None without any.
        passed: share in [0, 1] of the verdicts that are good; None without any.
        abstained, errors: how many.
        milliseconds: for a picture, the median over batches; None where all was known before.
        agrees: another value -> share in [0, 1] of the pictures of which both say the same: one
            score, or no opinion. Of those on which neither failed; None without any.
    """

    value: str
    mean: float | None
    passed: float | None
    abstained: int
    errors: int
    milliseconds: float | None
    agrees: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class TagFigures:
    """The same of the pictures that have a tag in common.

    Attributes:
        tag: of their metadata.
        images: how many.
        means: value -> mean of the scores.
        same: share in [0, 1] of the pictures of which all values say the same, as above.
    """

    tag: str
    images: int
    means: dict[str, float | None]
    same: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """A picture of which the values do not say the same.

    Attributes:
        file, prompt: of the picture.
        says: value -> what is said with it.
    """

    file: str
    prompt: str
    says: dict[str, ScoreLine]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One reward with several values of one option.

    Attributes:
        reward, option: that are compared.
        images: how many.
        same: share of the pictures of which all values say the same, as above.
        values: in the order given.
        tags: in the order in which they come.
        differ: the pictures that tell the values apart, those whose scores differ most first.
    """

    reward: str
    option: str
    images: int
    same: float | None
    values: list[Figures]
    tags: list[TagFigures]
    differ: list[Difference]


def comparison(
    compared: Sequence[Variant],
    scorers: Mapping[str, TimedScorer],
    pictures: Sequence[Picture],
    out: ScoreFile,
) -> Comparison:
    """What all variants say of pictures, all of which `out` knows."""
    said = {v.value: [_line(picture, v.name, out) for picture in pictures] for v in compared}
    summaries = {v.value: summarize(pictures, v.name, out) for v in compared}
    tags = []
    for of_tag in zip(*(of_all[1:] for of_all in summaries.values()), strict=True):
        tag = of_tag[0].tag
        inside = [str(picture.metadata.get("tag")) == tag for picture in pictures]
        theirs = [list(itertools.compress(lines, inside)) for lines in said.values()]
        means = {value: summary.mean for value, summary in zip(said, of_tag, strict=True)}
        tags.append(TagFigures(str(tag), sum(inside), means, _same(*theirs)))
    return Comparison(
        reward=compared[0].spec.name,
        option=compared[0].option,
        images=len(pictures),
        same=_same(*said.values()),
        values=[
            Figures(
                value=v.value,
                mean=summaries[v.value][0].mean,
                passed=summaries[v.value][0].passed,
                abstained=summaries[v.value][0].abstained,
                errors=summaries[v.value][0].errors,
                milliseconds=scorers[v.name].milliseconds,
                agrees={
                    other: _same(said[v.value], lines)
                    for other, lines in said.items()
                    if other != v.value
                },
            )
            for v in compared
        ],
        tags=tags,
        differ=_differing(pictures, said),
    )


def _differing(
    pictures: Sequence[Picture], said: Mapping[str, Sequence[ScoreLine]]
) -> list[Difference]:
    found = []
    for i, picture in enumerate(pictures):
        says = {value: lines[i] for value, lines in said.items()}
        if len({_opinion(line) for line in says.values()}) > 1:
            found.append(Difference(picture.file, picture.prompt, says))
    return sorted(found, key=_spread, reverse=True)


def _spread(difference: Difference) -> float:
    values = [line.value for line in difference.says.values() if line.value is not None]
    return max(values) - min(values) if values else 0.0


def _same(*said: Sequence[ScoreLine]) -> float | None:
    """The share of pictures of which all say the same, of those on which none failed."""
    whole = [lines for lines in zip(*said, strict=True) if all(x.error is None for x in lines)]
    return fmean(len({*map(_opinion, lines)}) == 1 for lines in whole) if whole else None


def _opinion(line: ScoreLine) -> tuple[float | None, bool]:
    """A score; an abstention and an error have none, and differ."""
    return line.value, line.error is None


def _line(picture: Picture, name: str, out: ScoreFile) -> ScoreLine:
    line = out.get(picture.file, name)
    assert line is not None, f"{picture.file} was not scored"
    return line
