"""The runs behind a claim: which options each arm has, one run a seed, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdmr1.core.options import GroupOptions, TDMOptions
from tdmr1.errors import UserError
from tdmr1.rewards.discovery.spec import RewardSpec, shown
from tdmr1.trainers.config import (
    KINDS,
    AnyConfig,
    DistillConfig,
    StudentOptions,
    TrainConfig,
    build_config,
    changed,
    validated,
)
from tdmr1.trainers.environment import environment, versions_of
from tdmr1.trainers.evaluation.claims import ARMS, CLAIMS, Arm
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.table import WHO
from tdmr1.trainers.evaluation.verdict import Finding
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.choice import LAST
from tdmr1.trainers.loop.results import Record, Results, digest
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import located, outline

QUICK = {
    "iterations": "2",
    "evaluate_every": "0",
    "eval_images": "2",
    "eval_group": "2",
    "method.group_size": "4",
    "method.warmup": "1",
}
"""What `--quick` sets in every arm that has it."""


class Reproduction:
    """A claim on some options. Runs that have ended are not repeated.

    Args:
        claim: its name.
        base: the options that its arms change; their rewards are what is measured.
        seeds: of the runs of each arm.
        out: run folders ARM-seedN, and CLAIM.json, go here.
        quick: a few iterations of each arm, which decide nothing.

    Raises:
        UserError: there are fewer than two seeds; or results in `out` are of other options or
            versions.
    """

    def __init__(
        self, claim: str, base: TrainConfig, seeds: Sequence[int], out: Path, quick: bool = False
    ) -> None:
        if len(seeds) < 2 and not quick:
            raise UserError(
                f"a verdict takes at least two seeds, and there is {len(seeds)}: --seeds 3"
            )
        self.name, self.claim = claim, CLAIMS[claim]
        self._base, self._seeds, self._out, self._quick = base, seeds, out, quick
        self._guidance = outline(base.model, base.generator).teacher_guidance
        self._versions = versions_of(environment())
        self.results = Results(out / f"{claim}.json", claim, quick)
        for (arm, seed), record in self.results.records.items():
            if arm in self.claim.arms and seed in seeds:
                record.check(self.config(arm, seed), self._versions, self.results.path)
        self._adopt()

    def _adopt(self) -> None:
        """Take from results of other claims the runs that are this claim's, too."""
        measured = {shown(name) for name in _names(self._base.rewards)}
        for name in CLAIMS.keys() - {self.name}:
            found = Results(self._out / f"{name}.json", name, self._quick).records
            for arm, seed in found.keys() & set(self.runs()) - self.results.records.keys():
                record = found[arm, seed]
                same = record.difference(self.config(arm, seed), self._versions) is None
                if same and measured <= record.images.keys():
                    self.results.records[arm, seed] = record

    def runs(self) -> list[tuple[str, int]]:
        """(arm, seed) of all runs, in the order in which they are done."""
        return [(arm, seed) for arm in self.claim.arms for seed in self._seeds]

    def config(self, arm: str, seed: int) -> AnyConfig:
        """The options of a run: as long as the budget lasts, with as many evaluations on the way.

        The budget is what the first arm takes by its own length.
        """
        first = _of_arm(self._base, ARMS[self.claim.arms[0]])
        config = first if arm == self.claim.arms[0] else _of_arm(self._base, ARMS[arm])
        if config != first:
            iterations = self._within(config, self._spent(first))
            looks = first.iterations // first.evaluate_every if first.evaluate_every else 0
            every = max(1, iterations // looks) if looks else 0
            config = config.model_copy(update={"iterations": iterations, "evaluate_every": every})
        settings = {"seed": str(seed), **(QUICK if self._quick else {})}
        return located(
            changed(config, [f"{k}={v}" for k, v in settings.items() if _has(config, k)])
        )

    def _spent(self, config: AnyConfig) -> float:
        """Network evaluations of a training."""
        return sum(self._each(config, iteration) for iteration in range(config.iterations))

    def _within(self, config: AnyConfig, budget: float) -> int:
        """How many iterations come closest to so many network evaluations; at least one."""
        count, spent = 0, 0.0
        while spent < budget:
            each = self._each(config, count)
            if count and spent + each / 2 > budget:
                break
            count, spent = count + 1, spent + each
        return count

    def _each(self, config: AnyConfig, iteration: int) -> float:
        assert not isinstance(config, DistillConfig), "an arm learns from rewards"
        guidance = config.method.guidance or self._guidance
        return config.method.evaluations(iteration, guided=guidance != 1)

    def folder(self, arm: str, seed: int) -> RunFolder:
        return RunFolder(self._out / f"{arm}-seed{seed}")

    def ended(self, arm: str, seed: int) -> bool:
        """Whether a run needs no more training."""
        run = self.folder(arm, seed)
        trained = run.started and run.student.is_dir() and set(WHO) <= run.reports().keys()
        return (arm, seed) in self.results.records or trained

    def run(self, arm: str, seed: int) -> None:
        """Train, unless that was done; measure, and keep what was measured.

        Raises:
            UserError: the run's folder has one of other options or of another version; or the
                training failed.
            Interrupted: as `jobs.train`.
        """
        if (arm, seed) in self.results.records:
            return
        config, run = self.config(arm, seed), self.folder(arm, seed)
        begun = run.config() if run.started else config
        if digest(begun) != digest(config):
            raise UserError(
                f"the run in {run.path} has other options than the claim; "
                "move it away, or choose another --out"
            )
        if not self.ended(arm, seed):
            jobs.train(begun, run)
        record = Record.of(arm, run, self._measured(run))
        record.check(config, self._versions, run.path)
        self.results.keep(record)

    def _measured(self, run: RunFolder) -> dict[str, Report]:
        """The run's own reports, or, where it knew not all of the claim's rewards, new ones."""
        if _names(self._base.rewards) <= _names(run.config().rewards):
            return run.reports()
        base = self._base
        return jobs.evaluate(
            run, base.rewards, reward_options=base.reward_options, checkpoint=LAST
        )

    def records(self, arm: str) -> list[Record]:
        """Those of an arm, by seed."""
        return [self.results.records[arm, seed] for seed in self._seeds]

    def decide(self) -> list[Finding]:
        """What the figures say of the claim, once all runs are there; none of a few iterations."""
        if self._quick:
            return []
        figures = {arm: [r.figures for r in self.records(arm)] for arm in self.claim.arms}
        found = [finding for check in self.claim.checks for finding in check.find(figures)]
        self.results.decide(found)
        return found


def _of_arm(base: TrainConfig, arm: Arm) -> AnyConfig:
    """The options of an arm, without a budget.

    One of another kind has all that every run has from the claim's options. Of the method it has
    its own preset, MODEL-KIND, or, where a student is trained, TDM's and the groups'. Rewards that
    an arm does not train on keep no options, nor gates.
    """
    config: AnyConfig = base
    if arm.kind != base.kind:
        kind = KINDS[arm.kind]
        shared = base.model_dump(include=set(kind.model_fields) - {"method"})
        if issubclass(kind, StudentOptions):
            of_method = set(TDMOptions.model_fields) | set(GroupOptions.model_fields)
            shared["method"] = base.method.model_dump(include=of_method)
        config = build_config(kind, overrides={"model": base.model})
        config = validated(kind, {**config.model_dump(), **shared})
    config = changed(config, arm.settings)
    if config.rewards == base.rewards:
        return config
    names = _names(config.rewards)
    options = {name: o for name, o in config.reward_options.items() if name in names}
    return config.model_copy(update={"reward_options": options, "gates": ()})


def _names(rewards: Sequence[str]) -> set[str]:
    return {RewardSpec.parse(text).name for text in rewards}


def _has(config: AnyConfig, key: str) -> bool:
    table, _, name = key.rpartition(".")
    return name in type(config.method if table else config).model_fields
