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
    "geneval": Arm("TDM-R1, GenEval alone", ('rewards=["geneval"]',)),
    "ocr": Arm("TDM-R1, OCR alone", ('rewards=["ocr"]',)),
    "sde": Arm(
        "stochastic rollouts at Flow-GRPO's noise level",
        ("method.rollout=sde", "method.noise_level=0.7"),
    ),
    "reference-ema": Arm(
        "the surrogate is measured against its own average", ("method.reference=ema",)
    ),
    "surrogate-once": Arm(
        "a surrogate that learns for 100 iterations, and then the student climbs it",
        ("method.warmup=100", "method.surrogate_until=100"),
    ),
    "final-step": Arm(
        "the reward on the last of the four steps alone",
        ("method.reward_start=3", "method.trunc_steps=4"),
    ),
    **{
        f"weight-{weight}": Arm(
            f"the reward weighs {weight}",
            (f"method.reward_weight={weight}",),
        )
        for weight in (10, 60, 120, 240)
    },
    "direct": Arm("TDM, and DGPO's denoising loss on the student", kind="direct"),
    "dgpo": Arm("DGPO of the many-step teacher", kind="dgpo"),
    "flow-grpo": Arm("Flow-GRPO of the many-step teacher", kind="flow-grpo"),
    "placebo": Arm("TDM-R1 on random numbers", (f'rewards=["{RANDOM}"]',)),
    "placebo-control": Arm(
        "the same, which does not climb them",
        (f'rewards=["{RANDOM}"]', "method.reward_weight=0"),
    ),
}

_MAIN = Of("main")
_VERDICT = "geneval overall"


def _kept(arm: str) -> tuple[Check, ...]:
    """Variety and sharpness, against the student's before."""
    now, before = Of(arm), Of(arm, "before")
    return (
        Check("colour entropy", now, before, ratio=True, above=0.90),
        Check("diversity", now, before, ratio=True, above=0.90),
        Check("sharpness", now, before, ratio=True, within=0.05),
    )


CLAIMS = {
    "main": Claim(
        "TDM-R1 beats its teacher in few steps, and keeps what prompts leave free",
        ("main",),
        (
            Check(_VERDICT, _MAIN, Of("main", "teacher"), above=0.10),
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
    "few-step-beats-teacher": Claim(
        "TDM-R1 in 4 steps beats the teacher in 56, on each reward alone and on both",
        ("main", "geneval", "ocr"),
        (
            Check(_VERDICT, Of("geneval"), Of("geneval", "teacher"), above=0),
            Check("ocr reward", Of("ocr"), Of("ocr", "teacher"), above=0),
            Check(_VERDICT, _MAIN, Of("main", "teacher"), above=0),
            Check("ocr reward", _MAIN, Of("main", "teacher"), above=0),
            Check(_VERDICT, _MAIN, Of("main", "before"), above=0),
        ),
    ),
    "deterministic": Claim(
        "Deterministic rollouts lead faster and further than stochastic ones",
        ("main", "sde"),
        (
            Check(_VERDICT, _MAIN, Of("sde"), above=0),
            Check(_VERDICT, Of("main", "along"), Of("sde", "along"), above=0),
        ),
    ),
    "dynamic-reference": Claim(
        "A surrogate measured against its own average leads further than one measured against "
        "the teacher, and than one that is trained once",
        ("main", "reference-ema", "surrogate-once"),
        (
            Check(_VERDICT, Of("reference-ema"), _MAIN, above=0),
            Check(_VERDICT, Of("reference-ema"), Of("surrogate-once"), above=0),
        ),
    ),
    "no-direct-rl": Claim(
        "A denoising loss on the student itself gains less, and blurs",
        ("main", "direct"),
        (
            Check(_VERDICT, _MAIN, Of("direct"), above=0),
            Check("sharpness", _MAIN, Of("direct"), ratio=True, above=1.05),
            Check("diversity", _MAIN, Of("direct"), ratio=True, above=1),
        ),
    ),
    "per-step": Claim(
        "A reward on every step leads further than one on the last alone",
        ("main", "final-step"),
        (
            Check(_VERDICT, _MAIN, Of("final-step"), above=0),
            Check(_VERDICT, Of("main", "along"), Of("final-step", "along"), above=0),
        ),
    ),
    "against-grpo": Claim(
        "TDM-R1 in 4 steps gains more from the same network evaluations than DGPO and Flow-GRPO "
        "of the many-step teacher",
        ("main", "dgpo", "flow-grpo"),
        (
            Check(_VERDICT, _MAIN, Of("dgpo"), above=0),
            Check(_VERDICT, _MAIN, Of("flow-grpo"), above=0),
        ),
    ),
    "out-of-domain": Claim(
        "What is not trained on stays as it was",
        ("geneval", "ocr"),
        (
            Check("ocr reward", Of("geneval"), Of("geneval", "before"), above=-0.02),
            *_kept("geneval"),
            Check(_VERDICT, Of("ocr"), Of("ocr", "before"), above=-0.02),
            *_kept("ocr"),
        ),
    ),
    "trade-off": Claim(
        "A reward that weighs more gains more, and costs variety",
        ("main", "weight-10", "weight-60", "weight-120", "weight-240"),
        (
            Check(_VERDICT, Of("weight-120"), Of("weight-10"), above=0),
            Check("colour entropy", Of("weight-10"), Of("weight-120"), above=0),
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
