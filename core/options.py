"""Every option of the method, stated once. Frozen; unknown keys and impossible values raise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LARGEST = 2**63 - 1
"""What counters and seeds can hold."""


class Options(BaseModel):
    """Options by name, all of them finite. A table that is none is as it is by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_finite(cls, value: object) -> object:
        if not _finite(value):
            raise ValueError(f"{value!r} is not finite, or too large")
        return value

    @model_validator(mode="before")
    @classmethod
    def _without_tables_that_are_none(cls, values: Any) -> Any:  # noqa: ANN401
        if not isinstance(values, Mapping):
            return values
        return {k: v for k, v in values.items() if v is not None or not cls.is_table(k)}

    @classmethod
    def is_table(cls, name: str) -> bool:
        """Whether there is such an option, and it has keys of its own."""
        field = cls.model_fields.get(name)
        return field is not None and isinstance(field.default, dict | Options)


class NetworkOptions(Options):
    """Of the network and its roles, whatever trains them."""

    rank: int | None = Field(
        32, ge=1, description="LoRA rank of every role; none trains whole weights"
    )
    alpha: float = Field(64.0, gt=0, description="LoRA alpha")
    lora_targets: tuple[str, ...] | None = Field(
        None, min_length=1, description="layers that take a LoRA; by default the generator's"
    )
    guidance: float | None = Field(
        None, ge=1, description="CFG weight w of the teacher; by default the generator's own"
    )
    max_grad_norm: float = Field(1.0, gt=0)
    gradient_checkpointing: bool = Field(
        False, description="compute activations twice instead of keeping them"
    )
    micro_batch: int | None = Field(
        None, ge=1, description="samples of one network evaluation; by default all at once"
    )

    @property
    def pieces(self) -> int:
        """Parts of a rollout of which each makes a gradient of its own."""
        return 1


class GroupOptions(Options):
    """Of groups of samples and their rewards."""

    group_size: int = Field(16, ge=2, description="G, samples of one prompt")
    groups: int = Field(6, ge=1, description="prompts per iteration")
    advantage_std: Literal["batch", "group"] = "batch"
    advantage_mix: Literal["gdpo", "grpo"] = Field(
        "gdpo", description="normalise each reward, then sum (GDPO); or sum, then normalise (GRPO)"
    )

    def evaluations(self, iteration: int, guided: bool) -> float:
        """Of the network, one sample each, in an iteration counted from 0; on average, where
        chance has a part in it.

        Args:
            iteration: of the run.
            guided: whether the weight of guidance is not 1.
        """
        raise NotImplementedError


class LevelOptions(Options):
    """Of the levels tau to which samples are re-noised."""

    tau_margin: float = Field(0.02, gt=0, lt=1, description="kept above sigma, in unshifted time")


class PreferenceOptions(LevelOptions, GroupOptions):
    """Of whoever learns group preferences: TDM-R1's surrogate, or a baseline's generator."""

    beta: float = Field(30.0, gt=0, description="scale of the implicit reward")
    reference: Literal["ema", "frozen"] = Field(
        "frozen", description="EMA of the surrogate (the paper), or the teacher (the public code)"
    )
    reference_decay: float = Field(0.3, ge=0, lt=1, description="where the EMA's decay ends")
    reference_decay_step: float = Field(
        0.001, gt=0, description="its start, and its rise an update"
    )
    anchor_decay: float = Field(
        0.3, ge=0, lt=1, description="where the decay of the trust region's EMA ends"
    )
    anchor_decay_step: float = Field(
        0.001, gt=0, description="its start, and its rise an update; 1: constant from the first"
    )
    clip: float | None = Field(1e-3, gt=0, description="trust region c; none switches it off")
    guard: float | None = Field(0.05, gt=0, description="drift that wakes the runaway guard")
    surrogate_regularizer: float = Field(1e-3, ge=0, description="of |v_surrogate - v_teacher|^2")
    surrogate_loss: Literal["paper", "public"] = Field(
        "paper",
        description="the public code divides the preference by beta, and weighs the regulariser, "
        "too, with (j + 1) / K",
    )
    group_noise: bool = Field(True, description="one noise for all samples of a group")
    group_tau: bool = Field(
        False, description="of the surrogate: one tau for each group, not for the part"
    )
    t_min: float = Field(0.25, ge=0, lt=1, description="lowest tau of the student's reward")
    surrogate_t_min: float | None = Field(
        None, ge=0, lt=1, description="lowest tau where the surrogate learns; none: `t_min`"
    )

    def preference_evaluations(self) -> int:
        """Of the network, of one sample in one draw."""
        return 2 + (self.reference == "ema") + (self.clip is not None)


class TDMOptions(NetworkOptions, LevelOptions):
    """TDM, arXiv 2503.06674: a few-step student from a many-step teacher."""

    steps: int = Field(4, ge=1, description="K, network evaluations of the student")
    boundaries: int = Field(2, ge=1, description="boundaries k trained per iteration")
    batch: int = Field(64, ge=1, description="samples per boundary for fake and student")
    parts: int = Field(
        1, ge=1, description="parts of a rollout that draw boundaries and tau of their own"
    )
    accumulate: bool = Field(
        False,
        description="a step a network and iteration, of its draws' mean gradient; or one a draw",
    )
    student_lr: float = Field(1e-4, gt=0)
    fake_lr: float = Field(4e-4, gt=0)
    fake_regularizer: float = Field(0.02, ge=0, description="weight of |v_fake - v_teacher|^2")
    student_group_tau: bool = Field(
        False, description="of fake and student: one tau for each group, not for the part"
    )
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the student that is exported")
    ema_ramp: bool = Field(
        False, description="that decay rises as (1 + n) / (10 + n), n updates done, up to `ema`"
    )

    @property
    def pieces(self) -> int:
        return self.parts

    def tdm_evaluations(self, samples: int) -> int:
        """Of the network in one iteration of TDM on so many samples, without its rollout."""
        size = self._part(samples) * self.parts
        # student and teacher in the query, fake; fake again, teacher without a prompt
        return 5 * self.boundaries * size

    def _part(self, samples: int) -> int:
        return min(self.batch, samples) // self.parts

    @model_validator(mode="after")
    def _boundaries_exist(self) -> TDMOptions:
        if self.boundaries > self.steps:
            raise ValueError(
                f"boundaries = {self.boundaries}, but a trajectory of steps = {self.steps} has "
                f"only {self.steps} to train; lower boundaries or raise steps"
            )
        if self.batch % self.parts:
            raise ValueError(
                f"batch = {self.batch} cannot be split into parts = {self.parts} of one size; "
                "choose a multiple of it"
            )
        return self


class TDMR1Options(TDMOptions, PreferenceOptions):
    """TDM-R1, arXiv 2603.07700, Algorithm 1."""

    fake_start: Literal["student", "teacher"] = Field(
        "student", description="whose copy the fake is at first; the public code: the teacher's"
    )
    warmup: int = Field(0, ge=0, description="iterations that train fake and surrogate alone")
    rollout: Literal["ode", "sde"] = Field("ode", description="deterministic or stochastic")
    noise_level: float | None = Field(
        None, gt=0, description="a of Flow-GRPO's SDE in such rollouts; none: wholly new noise"
    )

    surrogate_lr: float = Field(4e-4, gt=0)
    surrogate_targets: str | None = Field(
        None, description="adapt only layers in whose names this regular expression is found"
    )
    surrogate_draws: int = Field(2, ge=1, description="(j, tau, noise) per iteration and part")
    surrogate_until: int | None = Field(
        None, ge=1, description="iteration from which it learns no more; none: it always learns"
    )
    surrogate_ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the surrogate that the student climbs; 0: the last"
    )
    first_boundary: int = Field(0, ge=0, description="lowest boundary j that the surrogate draws")

    rl_cfg: float = Field(2.5, ge=1, description="CFG weight of the surrogate's direction")
    trunc_steps: int = Field(4, ge=0, description="boundaries k below it take the reward term")
    reward_start: int = Field(0, ge=0, description="and only from this one on")
    reward_weight: float = Field(0.7, ge=0)
    cfg_weight: float = Field(0.3, ge=0)
    reward_baseline: Literal["teacher", "reference"] = Field(
        "teacher", description="what the reward direction is measured against (Eq. 11: p_ref)"
    )

    reward_centered: bool = Field(
        False, description="the reward's direction without its mean over the batch"
    )

    def evaluations(self, iteration: int, guided: bool) -> float:
        samples = self.groups * self.group_size
        found: float = self.steps * samples + self.tdm_evaluations(samples)
        if self.surrogate_learns(iteration):
            found += self.surrogate_draws * samples * self.preference_evaluations()
        each = self.tdm_evaluations(samples) / 5
        if iteration < self.warmup:
            # The rollout tells what the student answers; micro-batches ask it in its update alone.
            told = self.micro_batch and self.micro_batch < self._part(samples)
            return found - (3 if told and self.rollout == "ode" else 2) * each
        share = max(0, min(self.trunc_steps, self.steps) - self.reward_start) / self.steps
        return found + share * each * (2 if self.rl_cfg == 1 else 3)

    @model_validator(mode="after")
    def _parts_are_whole_groups(self) -> TDMR1Options:
        if self.groups % self.parts:
            raise ValueError(
                f"groups = {self.groups} cannot be split into parts = {self.parts} of whole "
                "groups; choose a multiple of it"
            )
        return self

    def surrogate_learns(self, iteration: int) -> bool:
        """In an iteration, counted from 0."""
        return self.surrogate_until is None or iteration < self.surrogate_until

    @model_validator(mode="after")
    def _reward_has_a_step(self) -> TDMR1Options:
        if self.reward_start >= self.steps:
            raise ValueError(
                f"reward_start = {self.reward_start}, but the student has the boundaries 0 to "
                f"steps - 1 = {self.steps - 1}; lower it"
            )
        return self

    @model_validator(mode="after")
    def _first_boundary_exists(self) -> TDMR1Options:
        if self.first_boundary >= self.steps:
            raise ValueError(
                f"first_boundary = {self.first_boundary}, but the surrogate draws from the "
                f"boundaries 0 to steps - 1 = {self.steps - 1}; lower it"
            )
        return self


class PublishedPreferenceOptions(PreferenceOptions):
    """As the public code of DGPO has them."""

    beta: float = Field(100.0, gt=0, description="scale of the implicit reward")
    clip: float | None = Field(1e-2, gt=0, description="trust region c; none switches it off")
    guard: float | None = Field(None, gt=0, description="drift that wakes the runaway guard")
    surrogate_regularizer: float = Field(0.02, ge=0, description="of |v - v_teacher|^2")
    t_min: float = Field(0.5625, ge=0, lt=1, description="lowest tau; 0.3 in unshifted time")


class DirectOptions(TDMOptions, PublishedPreferenceOptions):
    """TDM and DGPO's loss, both on the student: the ablation of TDM-R1."""

    preference_weight: float = Field(0.7, ge=0, description="of DGPO's loss")

    def evaluations(self, iteration: int, guided: bool) -> float:
        samples = self.groups * self.group_size
        preference = self.boundaries * self.parts * samples * self.preference_evaluations()
        return self.steps * samples + self.tdm_evaluations(samples) + preference


class PolicyOptions(NetworkOptions, GroupOptions):
    """Of a many-step generator that learns from rewards."""

    steps: int = Field(10, ge=2, description="K of the rollouts; evaluations take the teacher's")
    rollout: Literal["ode", "sde"] = Field("ode", description="deterministic or stochastic")
    noise_level: float = Field(0.7, gt=0, description="a of the SDE's g = a sqrt(t / (1 - t))")
    lr: float = Field(3e-4, gt=0)
    ema: float = Field(0.9, ge=0, lt=1, description="decay of the policy that is exported")


class FlowGRPOOptions(PolicyOptions):
    """Flow-GRPO, arXiv 2505.05470: policy gradient on the many-step teacher's steps."""

    rollout: Literal["sde"] = Field("sde", description="its steps have probabilities")
    clip: float = Field(1e-4, gt=0, description="of the ratio of probabilities")
    kl: float = Field(0.04, ge=0, description="weight of the divergence from the teacher")
    updates: int = Field(2, ge=1, description="steps of the policy in an iteration")

    @property
    def pieces(self) -> int:
        return self.updates

    def evaluations(self, iteration: int, guided: bool) -> float:
        learnt = (self.steps - 1) * (2 if self.kl > 0 else 1)
        return (2 if guided else 1) * self.groups * self.group_size * (self.steps + learnt)

    @model_validator(mode="after")
    def _updates_are_of_whole_groups(self) -> FlowGRPOOptions:
        if self.groups % self.updates:
            raise ValueError(
                f"groups = {self.groups} cannot be split into updates = {self.updates} of whole "
                "groups; choose a multiple of it"
            )
        return self


class DGPOOptions(PolicyOptions, PublishedPreferenceOptions):
    """DGPO, arXiv 2510.08425: group preferences of the many-step teacher."""

    draws: int = Field(4, ge=1, description="(tau, noise) of a step of the policy")

    def evaluations(self, iteration: int, guided: bool) -> float:
        drawn = self.steps * (2 if guided else 1)
        learnt = self.draws * self.preference_evaluations()
        return self.groups * self.group_size * (drawn + learnt)


def _finite(value: object) -> bool:
    """Whether all numbers in it are, at any depth; of whole ones, that torch can hold them."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    if isinstance(value, int):
        return abs(value) <= LARGEST
    return not isinstance(value, float) or math.isfinite(value)
