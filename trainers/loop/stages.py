"""The trainings as the loop sees them: collect a rollout, then update."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator

from tdmr1.core.advantage import Feedback
from tdmr1.core.dgpo import DGPO
from tdmr1.core.direct import Direct
from tdmr1.core.draws import Draws
from tdmr1.core.flow_grpo import FlowGRPO
from tdmr1.core.generator import Conditions, Generator, Prompt
from tdmr1.core.method import Method, Reinforced
from tdmr1.core.metrics import Metrics
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import Rollout
from tdmr1.core.share import Share
from tdmr1.core.tdm import TDM
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.progress import task
from tdmr1.rewards.mixing.pending import Pending
from tdmr1.trainers.config import AnyConfig, BaselineConfig, DistillConfig, RunOptions, TrainConfig
from tdmr1.trainers.evaluation.exchange import joint_judgement, judgement_tree, outcomes_in
from tdmr1.trainers.evaluation.judge import Judge, Judgement
from tdmr1.trainers.processes import Processes, Tree
from tdmr1.trainers.prompts import PromptStream, kind_of


class Stage(abc.ABC):
    """A training that advances one iteration at a time.

    Args:
        config: of the run.
        prompts: to train on, at least one.
        accelerator: of the run.
        processes: that share each batch; by default this one alone.

    Attributes:
        method: the algorithm and its roles.
        steps: K of the rollouts.
        judge: the rewards; None where there are none to measure with.
        watch: held-out rewards, if there are any.
        device: of all tensors.
    """

    method: Method
    judge: Judge | None
    watch: Judge | None = None

    def __init__(
        self,
        config: AnyConfig,
        prompts: Sequence[Prompt],
        accelerator: Accelerator,
        processes: Processes | None = None,
    ) -> None:
        self._processes, self._pieces = processes or Processes(), config.method.pieces
        self.steps = config.method.steps
        self.device: torch.device = accelerator.device
        self._prompts = new_stream(config, prompts)
        self._draws = Draws(config.seed)

    @abc.abstractmethod
    def collect(self, iteration: int | None = None) -> Metrics:
        """Generate what the next update learns from, and begin to score it; no weights change.

        Args:
            iteration: of a training, for rewards that ask people; None: nobody is asked.
        """

    @abc.abstractmethod
    def update(self) -> Metrics:
        """Learn from what was collected, and from its scores, as soon as they are there.

        Raises:
            RewardError: a reward failed; some of the weights have changed by then.
        """

    def scale_student_rate(self, factor: float) -> None:
        """From now on the student's learning rate is `factor` times that of the options."""
        self.method.student_learner.scale_rate(factor)

    def close(self) -> None:
        """End every thread and process of the rewards."""
        for judge in filter(None, (self.judge, self.watch)):
            judge.close()

    @property
    def generator(self) -> Generator:
        return self.method.generator

    @property
    def evaluations(self) -> int:
        """Of the network so far, see `Roles`."""
        return self.method.roles.evaluations

    @property
    def student(self) -> Role:
        """The averaged student: what is evaluated and exported."""
        return self.method.student_ema

    def state_dict(self) -> dict[str, Any]:
        """All that the following iterations depend on. Its tensors change as training goes on."""
        return {
            "model": self.generator.name,
            "method": self.method.state_dict(),
            "prompts": self._prompts.state_dict(),
            **self.own_state(),
            "rewards": {} if self.judge is None else self.judge.mix.state_dict(),
            "watch": {} if self.watch is None else self.watch.mix.state_dict(),
        }

    def own_state(self) -> Tree:
        """What of it may differ between processes."""
        return {"torch": torch.get_rng_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self._prompts.load_state_dict(state["prompts"])
        torch.set_rng_state(state["torch"])
        if self.judge is not None:
            self.judge.mix.load_state_dict(state["rewards"])
        if self.watch is not None:
            self.watch.mix.load_state_dict(state["watch"])

    def _share(self, everyone: torch.Tensor, process: int | None = None) -> Share:
        """Of a batch whose samples belong to the groups `everyone`, int64 (N,); this process's."""
        index = self._processes.index if process is None else process
        return Share.of(everyone, self._pieces, index, self._processes.count)

    def _noise(self, share: Share) -> torch.Tensor:
        shape = (len(share.group), *self.generator.latent_shape)
        return self._draws.noise(torch.empty(shape, device=self.device), share)

    def _encode(self, prompts: Sequence[Prompt], share: Share) -> Conditions:
        """Of own samples, whose prompts are those at their groups."""
        own, index = torch.unique(share.group, return_inverse=True)
        condition = self.generator.encode([prompts[i].text for i in own.tolist()])
        return condition.to(self.device).of(index)


class Distillation(Stage):
    """TDM: prompts, a rollout, an iteration."""

    method: TDM

    def __init__(
        self,
        config: DistillConfig,
        generator: Generator,
        prompts: Sequence[Prompt],
        judge: Judge | None,
        accelerator: Accelerator,
        processes: Processes | None = None,
    ) -> None:
        super().__init__(config, prompts, accelerator, processes)
        roles = Roles.of(generator, config.method)
        self.method = TDM(roles, config.method, self._draws, accelerator)
        self.judge, self._batch = judge, config.method.batch
        self._rollout: Rollout | None = None

    def collect(self, iteration: int | None = None) -> Metrics:
        drawn = self._prompts.next(self._batch)
        share = self._share(torch.arange(len(drawn), device=self.device))
        self._rollout = self.method.rollout(self._encode(drawn, share), share, self._noise(share))
        return {}

    def update(self) -> Metrics:
        assert self._rollout is not None, "collect comes first"
        return self.method.iteration(self._rollout)


METHODS: Mapping[str, Callable[..., Reinforced]] = {
    "train": TDMR1,
    "direct": Direct,
    "dgpo": DGPO,
    "flow-grpo": FlowGRPO,
}
"""Kind of a configuration -> its method, of (roles, options, draws, accelerator)."""


class Reinforcement(Stage):
    """Groups of samples, their rewards, an iteration of TDM-R1's Algorithm 1 or of a baseline."""

    method: Reinforced
    judge: Judge

    def __init__(
        self,
        config: TrainConfig | BaselineConfig,
        generator: Generator,
        prompts: Sequence[Prompt],
        judge: Judge,
        accelerator: Accelerator,
        watch: Judge | None = None,
        processes: Processes | None = None,
    ) -> None:
        super().__init__(config, prompts, accelerator, processes)
        self.watch = watch
        options = config.method
        roles = Roles.of(generator, options)
        self.method = METHODS[config.kind](roles, options, self._draws, accelerator)
        self.judge, self._options, self._balance = judge, options, config.balance
        self._collected: tuple[Rollout, Pending, list[Prompt]] | None = None

    def collect(self, iteration: int | None = None) -> Metrics:
        started = time.perf_counter()
        drawn = self._prompts.next(self._options.groups)
        per_group = self._options.group_size
        everyone = torch.arange(len(drawn), device=self.device).repeat_interleave(per_group)
        share = self._share(everyone)
        condition, noise = self._encode(drawn, share), self._noise(share)
        rollout = self.method.rollout(condition, share, noise)
        group = share.group.tolist()
        pending = self.judge.submit(
            self.generator, rollout.latents, [drawn[i] for i in group], group, iteration
        )
        self._collected = rollout, pending, [drawn[i] for i in everyone.tolist()]
        return {"seconds/collect": time.perf_counter() - started}

    def wait(self) -> None:
        """Until what was collected has been scored; `update` does so when it needs the scores."""
        assert self._collected is not None, "collect comes first"
        self._collected[1].result()

    def update(self) -> Metrics:
        assert self._collected is not None, "collect comes first"
        (rollout, pending, samples), self._collected = self._collected, None
        metrics: Metrics = {}
        started = time.perf_counter()

        def feedback() -> list[Feedback]:
            asked = time.perf_counter()
            metrics["seconds/tdm"] = asked - started
            with task("waiting for scores"):
                judgement = self._together(self.judge.result(pending), rollout.share)
            metrics.update(_reward_metrics(judgement, samples, self._balance))
            metrics["seconds/waiting"] = time.perf_counter() - asked
            return self.judge.feedback(judgement)

        learnt = self.method.reinforce(rollout, feedback)
        return {**metrics, **learnt, "seconds/update": time.perf_counter() - started}

    def _together(self, judgement: Judgement, share: Share) -> Judgement:
        """Of the whole batch, in its order."""
        processes = self._processes
        if processes.count == 1:
            return judgement
        trees = processes.gather(judgement_tree(judgement))
        for index, tree in enumerate(trees):
            if index != processes.index:
                self.judge.mix.count(outcomes_in(tree))
        shares = [self._share(share.everyone, index) for index in range(processes.count)]
        order = [i for of in shares for i in of.take(torch.arange(len(of.everyone))).tolist()]
        return joint_judgement(trees, order)


def new_stream(config: RunOptions, prompts: Sequence[Prompt]) -> PromptStream:
    """The random prompts of a run, from their beginning."""
    return PromptStream(
        prompts, config.balance, config.prompt_weights, config.seed, config.draw == "uniform"
    )


def _reward_metrics(
    judgement: Judgement, samples: Sequence[Prompt], balance: str | None
) -> Metrics:
    """Mean reward in all and per value of the balance key; counts of abstentions and errors;
    shares of the samples that gates hold back, and of those that a cache knew; what rewards say of
    themselves; seconds."""
    metrics: Metrics = {f"gated/{gate}": float(c.mean()) for gate, c in judgement.closed.items()}
    metrics |= {f"cache/{name}": share for name, share in judgement.cache_hits.items()}
    for name, figures in judgement.figures.items():
        metrics |= {f"figures/{name}/{figure}": value for figure, value in figures.items()}
    metrics["seconds/reward"] = judgement.seconds
    for name, outcomes in judgement.outcomes.items():
        metrics[f"abstained/{name}"] = float(outcomes.abstained.sum())
        metrics[f"errors/{name}"] = float(outcomes.errors.sum())
        if outcomes.scored.any():
            metrics[f"reward/{name}"] = float(outcomes.values[outcomes.scored].mean())
        kinds = [kind_of(sample, balance) for sample in samples]
        for kind in filter(None, dict.fromkeys(kinds)):
            mine = [i for i, k in enumerate(kinds) if k == kind and outcomes.scored[i]]
            if mine:
                metrics[f"reward/{name}/{kind}"] = float(outcomes.values[mine].mean())
    return metrics
