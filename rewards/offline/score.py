"""Score image files that exist already."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tdmr1.rewards.cache.cached import sample_key
from tdmr1.rewards.cache.identity import identify
from tdmr1.rewards.cache.store import RewardCache
from tdmr1.rewards.contract import Sample
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardSpecInvalid
from tdmr1.rewards.groups import batches_of, units_by
from tdmr1.rewards.mixing.mix import RewardMix
from tdmr1.rewards.mixing.scoring import Scorer
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.rewards.offline.pictures import ImageUnreadable, read_rgb
from tdmr1.rewards.offline.scorefile import ScoreFile, ScoreLine


@dataclasses.dataclass(frozen=True)
class Summary:
    """What one reward says of a group of images.

    Attributes:
        tag: that they have in common, a metadata key; None: of all images.
        images: how many.
        mean: of the scores; None without any.
        passed: share in [0, 1] of the verdicts that are good; None without any.
        abstained, errors: how many.
    """

    tag: str | None
    images: int
    mean: float | None
    passed: float | None
    abstained: int
    errors: int


def open_rewards(
    names: Sequence[str],
    timeout: float,
    max_error_fraction: float,
    options: Mapping[str, Any],
    cache: RewardCache | None,
    server_wait: float = 0.0,
) -> tuple[RewardMix, dict[str, str]]:
    """Load rewards, in the order given.

    Args:
        names: "NAME[@PLACE]" each.
        timeout: seconds for one call of one reward, > 0.
        max_error_fraction: share of samples that may fail, per reward, in [0, 1].
        options: of the first.
        cache: for those whose scores can be kept.
        server_wait: seconds for a server that cannot be reached.

    Returns:
        The rewards, and the identity of each (`tdmr1.rewards.cache.identity`).

    Raises:
        RewardError: one is unknown, broken, named twice, or was given a weight.
    """
    specs = [RewardSpec.parse(name) for name in names]
    for spec in specs:
        if spec.weight != 1:
            raise RewardSpecInvalid(
                f"{spec.name!r} has a weight, which only training uses; write {spec.name} alone"
            )
    of_first = {specs[0].name: options}
    mix = RewardMix.open(
        specs, timeout, max_error_fraction, of_first, cache=cache, server_wait=server_wait
    )
    identities = {spec.name: identify(mix.scorers[spec.name].place.info) for spec in specs}
    return mix, identities


def score_pictures(
    pictures: Sequence[Picture],
    scorers: Mapping[str, Scorer],
    identities: Mapping[str, str],
    out: ScoreFile,
    batch: int,
    advance: Callable[[int], None],
) -> int:
    """Score pictures, and write each batch down as soon as it is scored.

    What `out` knows is left out, if pixels, prompt, metadata and reward are the same; errors are
    tried again. A picture that cannot be read is an error for each reward.

    To a grouped reward the pictures of one prompt, one text, are a group: it is left out if it is
    the same as a whole, and scored as a whole, or is an error as a whole. Where there is one,
    batches are of whole prompts; one with more than `batch` pictures has a batch of its own.

    Args:
        pictures: to score.
        scorers: reward name -> scorer.
        identities: reward name -> identity; what was scored under another is not believed.
        out: where to.
        batch: pictures that are read, and scored, at a time.
        advance: called with the number of pictures done since the last call.

    Returns:
        How many scores and abstentions were known already.

    Raises:
        RewardError: as `Scorer`; what was scored before is written.
        UserError: `out` cannot be written.
    """
    known = 0
    prompts = {picture.prompt: i for i, picture in enumerate(pictures)}
    grouped = any(scorer.place.info.grouped for scorer in scorers.values())
    for part in batches_of(_units(pictures, grouped), batch):
        samples = [_read(picture, prompts[picture.prompt]) for picture in part]
        for name, scorer in scorers.items():
            lines: list[ScoreLine] = []
            sought: list[tuple[ScoreLine, Sample]] = []
            whole, left = scorer.place.info.grouped, iter(samples)
            for unit in _units(part, whole):
                mine = list(itertools.islice(left, len(unit)))
                new = _unscored(name, unit, mine, identities[name], whole)
                if new[0].error is not None:
                    lines += new
                elif all(_is_known(line, out) for line in new):
                    known += len(new)
                else:
                    sought += zip(new, _readable(mine), strict=True)
            out.append([*lines, *_score(sought, scorer)])
        advance(len(part))
    return known


def summarize(pictures: Sequence[Picture], reward: str, out: ScoreFile) -> list[Summary]:
    """What a reward says of pictures, all of which `out` knows: of all, and of each `tag`."""
    groups: dict[str | None, list[ScoreLine]] = {None: []}
    for picture in pictures:
        line = out.get(picture.file, reward)
        assert line is not None, f"{picture.file} was not scored"
        groups[None].append(line)
        if "tag" in picture.metadata:
            groups.setdefault(str(picture.metadata["tag"]), []).append(line)
    return [_summary(tag, lines) for tag, lines in groups.items()]


def _units(pictures: Sequence[Picture], grouped: bool) -> list[list[Picture]]:
    """What is scored as a whole: each picture, or those of each prompt."""
    units = units_by([picture.prompt for picture in pictures], grouped)
    return [[pictures[i] for i in unit] for unit in units]


def _read(picture: Picture, group: int) -> Sample | ImageUnreadable:
    try:
        return Sample(read_rgb(picture.path), picture.prompt, picture.metadata, group)
    except ImageUnreadable as error:
        return error


def _unscored(
    name: str,
    unit: Sequence[Picture],
    samples: Sequence[Sample | ImageUnreadable],
    identity: str,
    grouped: bool,
) -> list[ScoreLine]:
    """The lines of a unit: each with its key, or, all of them, with what keeps them from being
    scored. A grouped reward's key is that of a picture among those of its prompt."""
    lines = [ScoreLine(picture.file, picture.prompt, name) for picture in unit]
    unreadable = [sample for sample in samples if isinstance(sample, ImageUnreadable)]
    if unreadable:
        beside = f"{unreadable[0]}\n{name} compares this image with that one, and needs both"
        return [
            dataclasses.replace(line, error=str(sample) if sample in unreadable else beside)
            for line, sample in zip(lines, samples, strict=True)
        ]
    keys = [_key(identity, sample) for sample in _readable(samples)]
    if grouped:
        together = "".join(keys)
        keys = [hashlib.sha256(f"{key}{together}".encode()).hexdigest() for key in keys]
    return [dataclasses.replace(line, key=k) for line, k in zip(lines, keys, strict=True)]


def _readable(samples: Sequence[Sample | ImageUnreadable]) -> list[Sample]:
    return [sample for sample in samples if isinstance(sample, Sample)]


def _is_known(line: ScoreLine, out: ScoreFile) -> bool:
    before = out.get(line.file, line.reward)
    return before is not None and before.error is None and before.key == line.key


def _key(identity: str, sample: Sample) -> str:
    key = sample_key(identity, sample)
    assert key is not None, "metadata from a prompt file is JSON"
    return key.hex()


def _score(sought: Sequence[tuple[ScoreLine, Sample]], scorer: Scorer) -> list[ScoreLine]:
    if not sought:
        return []
    outcomes = scorer([sample for _, sample in sought])
    return [
        dataclasses.replace(
            line,
            value=float(outcomes.values[i]) if outcomes.scored[i] else None,
            abstained=bool(outcomes.abstained[i]),
            reason="" if outcomes.errors[i] else outcomes.reasons[i],
            passed=outcomes.passed[i],
            error=outcomes.reasons[i] if outcomes.errors[i] else None,
        )
        for i, (line, _) in enumerate(sought)
    ]


def _summary(tag: str | None, lines: Sequence[ScoreLine]) -> Summary:
    values = [line.value for line in lines if line.value is not None]
    verdicts = [line.passed for line in lines if line.passed is not None]
    return Summary(
        tag=tag,
        images=len(lines),
        mean=fmean(values) if values else None,
        passed=fmean(verdicts) if verdicts else None,
        abstained=sum(line.abstained for line in lines),
        errors=sum(line.error is not None for line in lines),
    )
