"""Ask the cache first, and a reward only about what is not known."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence

import numpy as np

from tdmr1.rewards.cache.identity import identify
from tdmr1.rewards.cache.store import RewardCache
from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.places.base import Judged, Place
from tdmr1.rewards.prompts import PromptLine

_log = logging.getLogger(__name__)


class CachedPlace(Place):
    """A place that remembers. Scores and abstentions are kept; errors are not.

    Args:
        place: whose reward is cacheable.
        identity: of the reward; see `tdmr1.rewards.cache.identity`.
        cache: several places may share one.

    Attributes:
        hits: samples so far that were known.
    """

    def __init__(self, place: Place, identity: str, cache: RewardCache) -> None:
        self.info = place.info
        self._place, self._identity, self._cache = place, identity, cache
        self.hits = 0

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        keys = [sample_key(self._identity, sample) for sample in samples]
        known = self._cache.read([key for key in keys if key is not None])
        unknown = [i for i, key in enumerate(keys) if key is None or key not in known]
        scores = [None if key is None else known.get(key) for key in keys]
        if unknown:
            answer = self._place.score([samples[i] for i in unknown])
            fresh = dict(zip(unknown, answer, strict=True))
            for i, score in fresh.items():
                scores[i] = score
            self._cache.write({k: fresh[i] for i in unknown if (k := keys[i]) is not None})
            self.figures = self._place.figures
        self.hits += len(samples) - len(unknown)
        return scores

    def judges(self, prompts: Sequence[PromptLine]) -> list[Judged]:
        return self._place.judges(prompts)

    def close(self) -> None:
        self._place.close()


def cached(place: Place, cache: RewardCache | None) -> Place:
    """A place behind a cache, if there is one and the reward's scores can be kept.

    Those of a grouped reward cannot, as they are no property of a sample.

    Args:
        place: of any reward.
        cache: to ask first.
    """
    if cache is None or not place.info.repeatable or place.info.grouped:
        return place
    if not place.info.cacheable:
        _log.warning(
            "scores of reward %r are not kept in the cache, as it does not say which files it "
            'reads; say it below the function: `score.reads = ("palette.npy",)`, or `()` for none',
            place.info.name,
        )
        return place
    return CachedPlace(place, identify(place.info), cache)


def sample_key(identity: str, sample: Sample) -> bytes | None:
    """SHA-256 over who judges and all that is seen: pixels, shape, prompt and metadata; and the
    iteration of a sample that a training has drawn.

    Returns:
        32 bytes; None where the metadata is not JSON, and so has no canonical form.
    """
    drawn = [] if sample.iteration is None else [sample.iteration]
    seen = [identity, sample.prompt, dict(sample.metadata), list(sample.image.shape), *drawn]
    try:
        header = json.dumps(seen, sort_keys=True)
    except (TypeError, ValueError):
        return None
    # JSON has no zero byte, so this is the end of the header and of nothing else.
    digest = hashlib.sha256(header.encode() + b"\0")
    digest.update(np.ascontiguousarray(sample.image).data)
    return digest.digest()
