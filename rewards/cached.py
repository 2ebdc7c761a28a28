"""Ask the cache first, and whatever scores only about what is not known."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from numbers import Real

import numpy as np

from tdmr1.rewards.cache import RewardCache
from tdmr1.rewards.contract import Reward, Sample, Score
from tdmr1.rewards.discovery import load
from tdmr1.rewards.errors import RewardAnswerInvalid
from tdmr1.rewards.function import ScoreFunction
from tdmr1.rewards.identity import identify
from tdmr1.rewards.spec import RewardSpec


class CachedScoring:
    """Scores samples as another does, and remembers.

    What is kept is a score that is finite and in range, or an abstention. Errors, and answers that
    whoever called will refuse, are not.

    Args:
        score: scores N samples, one outcome each, in order; as `Reward.score`.
        identity: of whatever scores; see `tdmr1.rewards.identity`.
        range: the smallest and the largest value that `score` may return.
        cache: several may share one.

    Attributes:
        hits: samples so far that were known.
    """

    def __init__(
        self, score: ScoreFunction, identity: str, range: tuple[float, float], cache: RewardCache
    ) -> None:
        self._score, self._identity, self._range, self._cache = score, identity, range, cache
        self.hits = 0

    def score(self, samples: Sequence[Sample]) -> Sequence[Score | float | None]:
        """One outcome a sample, in order.

        Raises:
            RewardAnswerInvalid: `score` answered something else than one outcome a sample.
            Exception: as `score` does; of such a batch nothing is kept, and nothing counted.
        """
        keys = [sample_key(self._identity, sample) for sample in samples]
        known = self._cache.read([key for key in keys if key is not None])
        unknown = [i for i, key in enumerate(keys) if key is None or key not in known]
        outcomes: list[Score | float | None] = [
            None if key is None else known.get(key) for key in keys
        ]
        if unknown:
            kept: dict[bytes, Score | None] = {}
            answer = self._ask([samples[i] for i in unknown])
            for i, outcome in zip(unknown, answer, strict=True):
                outcomes[i] = outcome
                if (key := keys[i]) is not None and self._may_be_kept(outcome):
                    kept[key] = _as_score(outcome)
            self._cache.write(kept)
        self.hits += len(samples) - len(unknown)
        return outcomes

    def _ask(self, samples: list[Sample]) -> Sequence[Score | float | None]:
        answer = self._score(samples)
        if not isinstance(answer, Sequence | np.ndarray) or len(answer) != len(samples):
            size = f" of {len(answer)}" if isinstance(answer, Sequence) else ""
            raise RewardAnswerInvalid(
                f"returned a {type(answer).__name__}{size} instead of a list of {len(samples)}"
            )
        return answer

    def _may_be_kept(self, answer: object) -> bool:
        if answer is None:
            return True
        value = answer.value if isinstance(answer, Score) else answer
        if not isinstance(value, Real | np.bool_):
            return False
        low, high = self._range
        return math.isfinite(float(value)) and low <= float(value) <= high


class CachedReward(Reward):
    """A reward that remembers, wherever a `Reward` is expected.

    Args:
        reward: one that is `repeatable`.
        identity: of it.
        cache: to ask first.

    Attributes:
        scoring: who counts the hits.
    """

    def __init__(self, reward: Reward, identity: str, cache: RewardCache) -> None:
        self.name, self.range = reward.name, reward.range
        self.higher_is_better = reward.higher_is_better
        self.scoring = CachedScoring(reward.score, identity, reward.range, cache)

    def score(self, samples: Sequence[Sample]) -> Sequence[Score | float | None]:
        return self.scoring.score(samples)


def load_cached(spec: RewardSpec, cache: RewardCache | None) -> tuple[Reward, str]:
    """Load a reward, behind `cache` if there is one and the reward is repeatable.

    Returns:
        The reward, and its identity.

    Raises:
        RewardError: as `load`.
    """
    reward = load(spec)
    identity = identify(spec, reward)
    if cache is None or not reward.repeatable:
        return reward, identity
    return CachedReward(reward, identity, cache), identity


def sample_key(identity: str, sample: Sample) -> bytes | None:
    """SHA-256 over who judges and all that is seen: pixels, shape, prompt and metadata.

    Returns:
        32 bytes; None where the metadata is not JSON, and so has no canonical form.
    """
    seen = [identity, sample.prompt, dict(sample.metadata), list(sample.image.shape)]
    try:
        header = json.dumps(seen, sort_keys=True)
    except (TypeError, ValueError):
        return None
    # JSON has no zero byte, so this is the end of the header and of nothing else.
    digest = hashlib.sha256(header.encode() + b"\0")
    digest.update(np.ascontiguousarray(sample.image).data)
    return digest.digest()


def _as_score(answer: Score | float | None) -> Score | None:
    if answer is None:
        return None
    score = answer if isinstance(answer, Score) else Score(answer)
    passed = None if score.passed is None else bool(score.passed)
    return Score(float(score.value), str(score.reason), passed)
