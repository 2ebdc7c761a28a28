"""Score image files that exist already."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from tdmr1.rewards.cache import RewardCache
from tdmr1.rewards.cached import CachedReward, load_cached, sample_key
from tdmr1.rewards.contract import Sample
from tdmr1.rewards.errors import RewardSpecInvalid
from tdmr1.rewards.pairing import Picture
from tdmr1.rewards.pictures import ImageUnreadable, read_rgb
from tdmr1.rewards.scorefile import ScoreFile, ScoreLine
from tdmr1.rewards.scoring import Scorer
from tdmr1.rewards.spec import RewardSpec

ALL = "all"
"""The group of a `Summary` over all images."""


@dataclasses.dataclass(frozen=True)
class Selected:
    """One reward that scores files.

    Attributes:
        scorer: calls it.
        identity: see `tdmr1.rewards.identity`; scores of another identity are not believed.
    """

    scorer: Scorer
    identity: str

    @property
    def cache_hits(self) -> int:
        """Samples so far that the cache knew."""
        reward = self.scorer.reward
        return reward.scoring.hits if isinstance(reward, CachedReward) else 0


@dataclasses.dataclass(frozen=True)
class Summary:
    """What one reward says of a group of images.

    Attributes:
        group: value of their metadata key `tag`, or `ALL`.
        images: how many.
        mean: of the scores; None without any.
        passed: share in [0, 1] of the verdicts that are good; None without any.
        abstained, errors: how many.
    """

    group: str
    images: int
    mean: float | None
    passed: float | None
    abstained: int
    errors: int


def select(
    names: str, timeout: float, max_error_fraction: float, cache: RewardCache | None
) -> dict[str, Selected]:
    """Load rewards.

    Args:
        names: "NAME" or "NAME,NAME".
        timeout: seconds for one call of one reward, > 0.
        max_error_fraction: share of samples that may fail, per reward, in [0, 1].
        cache: for those that are repeatable.

    Returns:
        Name -> reward, each once.

    Raises:
        RewardError: one is unknown or broken, or was given a weight.
    """
    selected = {}
    for spec in map(RewardSpec.parse, names.split(",")):
        if spec.weight != 1:
            raise RewardSpecInvalid(
                f"{spec.name!r} has a weight, which only training uses; write {spec.name} alone"
            )
        reward, identity = load_cached(spec, cache)
        selected[spec.name] = Selected(Scorer(reward, timeout, max_error_fraction), identity)
    return selected


def score_pictures(
    pictures: Sequence[Picture],
    rewards: Mapping[str, Selected],
    out: ScoreFile,
    batch: int,
    advance: Callable[[int], None],
) -> int:
    """Score pictures, and write each batch down as soon as it is scored.

    What `out` knows is left out, if pixels, prompt, metadata and reward are the same; errors are
    tried again. A picture that cannot be read is an error for each reward.

    Args:
        pictures: to score.
        rewards: name -> reward.
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
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        samples = [_read(picture) for picture in part]
        for name, reward in rewards.items():
            lines, sought = [], []
            for picture, sample in zip(part, samples, strict=True):
                line = ScoreLine(str(picture.path), picture.prompt, name)
                if isinstance(sample, ImageUnreadable):
                    lines.append(dataclasses.replace(line, error=str(sample)))
                    continue
                line = dataclasses.replace(line, key=_key(reward.identity, sample))
                before = out.get(line.file, name)
                if before is not None and before.error is None and before.key == line.key:
                    known += 1
                else:
                    sought.append((line, sample))
            out.append([*lines, *_score(sought, reward.scorer)])
        advance(len(part))
    return known


def summarize(pictures: Sequence[Picture], reward: str, out: ScoreFile) -> list[Summary]:
    """What a reward says of pictures, all of which `out` knows: of all, and of each `tag`."""
    groups: dict[str, list[ScoreLine]] = {ALL: []}
    for picture in pictures:
        line = out.get(str(picture.path), reward)
        assert line is not None, f"{picture.path} was not scored"
        groups[ALL].append(line)
        if "tag" in picture.metadata:
            groups.setdefault(str(picture.metadata["tag"]), []).append(line)
    return [_summary(group, lines) for group, lines in groups.items()]


def _read(picture: Picture) -> Sample | ImageUnreadable:
    try:
        return Sample(read_rgb(picture.path), picture.prompt, picture.metadata)
    except ImageUnreadable as error:
        return error


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


def _summary(group: str, lines: Sequence[ScoreLine]) -> Summary:
    values = [line.value for line in lines if line.value is not None]
    verdicts = [line.passed for line in lines if line.passed is not None]
    return Summary(
        group=group,
        images=len(lines),
        mean=fmean(values) if values else None,
        passed=fmean(verdicts) if verdicts else None,
        abstained=sum(line.abstained for line in lines),
        errors=sum(line.error is not None for line in lines),
    )
