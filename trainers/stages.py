"""The two trainings as the loop sees them: collect a rollout, then update."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Generator, Prompt
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import OdeSampler, Rollout, SdeSampler
from tdmr1.core.surrogate import Metrics
from tdmr1.core.tdm import TDM
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.rewards.mixing import check_coverage
from tdmr1.trainers.config import DistillConfig, RunOptions, TrainConfig
from tdmr1.trainers.judge import Judge, Judgement
from tdmr1.trainers.prompts import PromptStream


class Stage(abc.ABC):
    """A training that advances one iteration at a time.

    Attributes:
        method: the algorithm and its roles.
        steps: K of the student.
    """

    method: TDM
    steps: int

    def __init__(self, prompts: PromptStream, draws: Draws) -> None:
        self._prompts, self._draws = prompts, draws

    @abc.abstractmethod
    def collect(self) -> Metrics:
        """Generate, and score, what the next update learns from. Changes no weights."""

    @abc.abstractmethod
    def update(self) -> Metrics:
        """Learn from what was collected."""

    @property
    def generator(self) -> Generator:
        return self.method.generator

    @property
    def student(self) -> Role:
        """The averaged student: what is evaluated and exported."""
        return self.method.student_ema

    def cursor(self) -> dict[str, Any]:
        """The positions in all random streams."""
        return {
            "prompts": self._prompts.state_dict(),
            "draws": self._draws.state_dict(),
            "torch": torch.get_rng_state(),
        }

    def rewind(self, cursor: Mapping[str, Any]) -> None:
        """Back to where `cursor` was taken."""
        self._prompts.load_state_dict(cursor["prompts"])
        self._draws.load_state_dict(cursor["draws"])
        torch.set_rng_state(cursor["torch"])

    def state_dict(self) -> dict[str, Any]:
        """All that the following iterations depend on."""
        return {
            "model": self.generator.name,
            "method": self.method.state_dict(),
            "cursor": self.cursor(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self.rewind(state["cursor"])

    def _noise(self, count: int) -> torch.Tensor:
        return self._draws.noise(torch.empty(count, *self.generator.latent_shape))


class Distillation(Stage):
    """TDM: prompts, a rollout, an iteration."""

    def __init__(
        self,
        config: DistillConfig,
        generator: Generator,
        prompts: Sequence[Prompt],
        accelerator: Accelerator,
    ) -> None:
        draws = Draws(config.seed, accelerator.process_index)
        super().__init__(_stream(config, prompts), draws)
        roles = Roles(generator, config.method.rank, config.method.alpha)
        self.method = TDM(roles, config.method, draws, accelerator)
        self.steps, self._batch = config.method.steps, config.method.batch
        self._sampler = OdeSampler(self.steps, generator.shift)
        self._rollout: Rollout | None = None

    def collect(self) -> Metrics:
        drawn = self._prompts.next(self._batch)
        condition = self.generator.encode([prompt.text for prompt in drawn])
        self._rollout = self._sampler.rollout(
            self.method.student, condition, torch.arange(len(drawn)), self._noise(len(drawn))
        )
        return {}

    def update(self) -> Metrics:
        assert self._rollout is not None, "collect comes first"
        return self.method.iteration(self._rollout)


class Reinforcement(Stage):
    """TDM-R1: groups of samples, their rewards, an iteration of Algorithm 1.

    Attributes:
        judge: the rewards.
    """

    method: TDMR1

    def __init__(
        self,
        config: TrainConfig,
        generator: Generator,
        prompts: Sequence[Prompt],
        judge: Judge,
        accelerator: Accelerator,
    ) -> None:
        draws = Draws(config.seed, accelerator.process_index)
        super().__init__(_stream(config, prompts), draws)
        options = config.method
        roles = Roles(generator, options.rank, options.alpha)
        self.method = TDMR1(roles, options, draws, accelerator)
        self.steps = options.steps
        self.judge, self._options, self._balance = judge, options, config.balance
        sampler = OdeSampler if options.rollout == "ode" else SdeSampler
        self._sampler = sampler(self.steps, generator.shift)
        self._collected: tuple[Rollout, list[Feedback]] | None = None

    def start_from(self, folder: Path) -> None:
        """Student, its average and the fake begin as the distilled LoRA in `folder`."""
        method = self.method
        method.roles.load(method.student, folder)
        for role in (method.student_ema, method.fake):
            role.copy_from(method.student)

    def collect(self) -> Metrics:
        started = time.perf_counter()
        drawn = self._prompts.next(self._options.groups)
        per_group = self._options.group_size
        condition = self.generator.encode([prompt.text for prompt in drawn]).repeat(per_group)
        group = torch.arange(len(drawn)).repeat_interleave(per_group)
        noise = self._noise(len(group))
        rollout = self._sampler.rollout(self.method.student, condition, group, noise)
        samples = [prompt for prompt in drawn for _ in range(per_group)]
        judgement = self.judge(self.generator, rollout.latents, samples)
        check_coverage(judgement.outcomes)
        self._collected = rollout, self.judge.feedback(judgement, noise.device)
        return {
            **_reward_metrics(judgement, samples, self._balance),
            "seconds/reward": judgement.seconds,
            "seconds/collect": time.perf_counter() - started,
        }

    def update(self) -> Metrics:
        assert self._collected is not None, "collect comes first"
        started = time.perf_counter()
        metrics = self.method.reinforce(*self._collected)
        return {**metrics, "seconds/update": time.perf_counter() - started}


def _stream(config: RunOptions, prompts: Sequence[Prompt]) -> PromptStream:
    return PromptStream(prompts, config.balance, config.prompt_weights, config.seed)


def _reward_metrics(
    judgement: Judgement, samples: Sequence[Prompt], balance: str | None
) -> Metrics:
    """Mean reward in all and per value of the balance key; counts of abstentions and errors."""
    metrics: Metrics = {}
    for name, outcomes in judgement.outcomes.items():
        metrics[f"abstained/{name}"] = float(outcomes.abstained.sum())
        metrics[f"errors/{name}"] = float(outcomes.errors.sum())
        if outcomes.scored.any():
            metrics[f"reward/{name}"] = float(outcomes.values[outcomes.scored].mean())
        if balance is None:
            continue
        kinds = [str(sample.metadata.get(balance, "")) for sample in samples]
        for kind in dict.fromkeys(kinds):
            mine = [i for i, k in enumerate(kinds) if k == kind and outcomes.scored[i]]
            if mine:
                metrics[f"reward/{name}/{kind}"] = float(outcomes.values[mine].mean())
    return metrics
