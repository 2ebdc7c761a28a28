"""What scoring costs. These checks measure, and fail only where the reward fails."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence

from tdmr1.resident import most_resident
from tdmr1.rewards.checks.finding import Finding, not_checked, passed
from tdmr1.rewards.checks.samples import first_unit, probes, score
from tdmr1.rewards.contract import Golden, Reward

BATCHES = (1, 8, 32)
AT_LEAST = 8
"""Images that a latency is the mean of."""


def latency(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Milliseconds an image, in batches of 1, 8 and 32 of the reward's own samples; of a grouped
    reward, in groups."""
    own = first_unit(reward, goldens) if reward.grouped else probes(goldens)
    samples = list(itertools.islice(itertools.cycle(own), max(BATCHES)))
    score(reward, samples[:1])  # what is loaded on first use does not count
    figures = {}
    for batch in BATCHES:
        calls = max(1, AT_LEAST // batch)
        started = time.perf_counter()
        for call in range(calls):
            score(reward, samples[call * batch : (call + 1) * batch])
        seconds = time.perf_counter() - started
        figures[f"ms_per_image_at_{batch}"] = 1000 * seconds / (calls * batch)
    height, width, _ = samples[0].image.shape
    times = " / ".join(f"{figure:.2g}" for figure in figures.values())
    batches = " / ".join(map(str, BATCHES))
    return passed(f"{times} ms an image at batch {batches}, {height} x {width} pixels", **figures)


def peak_memory(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """MiB that this process held at most so far, and on the GPU where torch was used on one."""
    if (most := most_resident()) is None:
        return not_checked("this system does not tell the memory of a process")
    figures = {"mib": most / 2**20}
    text = f"{figures['mib']:.0f} MiB of this process"
    torch = sys.modules.get("torch")  # never imported here: only the reward knows whether it is
    if torch is not None and torch.cuda.is_available():
        figures["gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
        text += f", {figures['gpu_mib']:.0f} MiB of the GPU"
    return passed(text, **figures)
