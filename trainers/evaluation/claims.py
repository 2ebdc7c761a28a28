"""The project's claims: each some arms, which anybody can run again, and what they have to show.

All arms of a claim train on the same prompts, are evaluated on the same noise, and take the same
budget of network evaluations, that of the first arm. An arm that several claims name is one run.
"""

from __future__ import annotations

import dataclasses

from tdmr1.trainers.evaluation.verdict import Check, Of

RANDOM = "tdmr1.trainers.evaluation.placebo:placebo"
SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Arm:
    """A training: the claim's preset with some settings, or another trainer's.

    Attributes:
        about: one line.
        settings: KEY=VALUE each, on top of the preset's.
        kind: of trainer, `tdmr1 KIND`; another than `train` has the preset MODEL-KIND.
    """

    about: str
    settings: tuple[str, ...] = ()
    kind: str = "train"


@dataclasses.dataclass(frozen=True)
class Claim:
    """What is claimed, by which arms, and how it is decided.

    Attributes:
        about: one line.
        arms: names of `ARMS`; the first has the length of its preset, the others its budget.
        checks: all of them have to hold, see `verdict.Check`.
        iterations: of the first arm, instead of its preset's.
    """

    about: str
    arms: tuple[str, ...]
    checks: tuple[Check, ...]
    iterations: int | None = None


ARMS = {
    "main": Arm("TDM-R1, both rewards"),
    "placebo": Arm("TDM-R1 on random numbers", (f'rewards=["{RANDOM}"]',)),
    "placebo-control": Arm(
        "the same, which does not climb them",
        (f'rewards=["{RANDOM}"]', "method.reward_weight=0", "method.late.reward_weight=0"),
    ),
}

_MAIN = Of("main")

CLAIMS = {
    "main": Claim(
        "TDM-R1 beats its teacher in few steps, and keeps what prompts leave free",
        ("main",),
        (
            Check("geneval overall", _MAIN, Of("main", "teacher"), above=0.10),
            Check("ocr reward", _MAIN, Of("main", "before"), above=-0.01),
            Check("colour entropy", _MAIN, Of("main", "teacher"), ratio=True, above=0.90),
            Check("colour tv", _MAIN, within=0.15),
            Check("diversity", _MAIN, Of("main", "teacher"), ratio=True, above=0.90),
            Check("recall", _MAIN, Of("main", "before"), ratio=True, above=0.90),
            Check("sharpness", _MAIN, Of("main", "teacher"), ratio=True, within=0.05),
            Check("chroma", _MAIN, Of("main", "teacher"), ratio=True, within=0.05),
            Check("tint", _MAIN, Of("main", "teacher"), ratio=True, within=0.05),
        ),
    ),
    "placebo": Claim(
        "A reward of random numbers does not move the generator",
        ("placebo", "placebo-control"),
        (
            Check("* entropy", Of("placebo"), Of("placebo-control"), within=0.03),
            Check("diversity", Of("placebo"), Of("placebo-control"), ratio=True, within=0.03),
            Check("* overall", Of("placebo"), Of("placebo-control"), within=0.03),
        ),
        iterations=100,
    ),
}
