"""What is kept of the runs of a claim: figures and curves, in one JSON file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.rewards.discovery.spec import RewardSpec, shown
from tdmr1.trainers.config import AnyConfig
from tdmr1.trainers.environment import machine_of, versions_of
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.table import figures
from tdmr1.trainers.evaluation.verdict import Finding, overall
from tdmr1.trainers.loop.run import SECONDS, RunFolder
from tdmr1.trainers.writing import writing

HELDOUT = "heldout/"
CHANGE_NOTHING = {"compile", "shard", "teacher_cache"}
"""Options that say how something is computed, or kept, and not what."""

ON_THE_WAY = (HELDOUT, "variety/", "over_teacher/")
"""Metrics of evaluations, which make a curve."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One run of an arm.

    Attributes:
        arm, seed: which.
        config: hash of its options.
        versions: of this package and its plugins.
        machine: where it was trained, in words; minutes are of it, and whatever `precision=auto`
            came to.
        evaluations: of the network, in training alone.
        minutes: that the training took.
        figures: who ("teacher", "before", "after", "along") -> figure -> value; "along" is the
            mean over the evaluations on the way, the first left out.
        nfe: who -> network evaluations an image.
        images: reward -> how many it scored of each.
        curve: one entry an evaluation: `iteration`, `evaluations` and `minutes` until then, and
            the metrics of it.
    """

    arm: str
    seed: int
    config: str
    versions: Mapping[str, str]
    machine: str
    evaluations: int
    minutes: float
    figures: Mapping[str, Mapping[str, float]]
    nfe: Mapping[str, int]
    images: Mapping[str, int]
    curve: Sequence[Mapping[str, float]]

    @classmethod
    def of(cls, arm: str, run: RunFolder, reports: Mapping[str, Report]) -> Record:
        """Of a run that has ended, and what was measured of it."""
        config, way = run.config(), _curve(run)
        found = {who: named(report) for who, report in reports.items()}
        measured = [RewardSpec.parse(text).name for text in config.rewards]
        if along := _along(way, measured):
            found["along"] = along
        rewards = {n: r.images for report in reports.values() for n, r in report.rewards.items()}
        return cls(
            arm=arm,
            seed=config.seed,
            config=digest(config),
            versions=versions_of(run.environment()),
            machine=machine_of(run.environment()),
            evaluations=sum(int(m.get("evaluations") or 0) for m in run.metrics()),
            minutes=run.cost().minutes,
            figures=found,
            nfe={who: r.nfe for who, r in reports.items() if r.nfe is not None},
            images={shown(name): count for name, count in rewards.items()},
            curve=way,
        )

    def difference(self, config: AnyConfig, versions: Mapping[str, str]) -> str | None:
        """How it differs from a run of these options and versions; None where it does not.

        What a run uses is there at both times; of other packages it does not matter.
        """
        pairs = [
            f"{name} {self.versions[name]}, not {versions[name]}"
            for name in sorted(self.versions.keys() & versions.keys())
            if self.versions[name] != versions[name]
        ]
        if pairs:
            return f"is of another version: {'; '.join(pairs)}"
        if self.config != digest(config):
            return "has other options than the claim has now"
        return None

    def check(self, config: AnyConfig, versions: Mapping[str, str], where: Path) -> None:
        """Raises UserError where it is of other options, or of other versions."""
        if told := self.difference(config, versions):
            raise UserError(
                f"{self.arm}, seed {self.seed}, in {where} {told}\n"
                f"move {where} away, or choose another --out"
            )


class Results:
    """The records of a claim, in a file that is written anew with each of them.

    Args:
        path: CLAIM.json.
        claim: its name, which the file has to hold, too.
        quick: whether the arms are a few iterations each, which decide nothing; likewise.

    Raises:
        UserError: the file is damaged, or of another claim.
    """

    def __init__(self, path: Path, claim: str, quick: bool) -> None:
        self.path, self._claim, self._quick = path, claim, quick
        self.records: dict[tuple[str, int], Record] = {}
        if not path.exists():
            return
        remedy = f"move {path} away, or choose another --out"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            records = [Record(**values) for values in content["runs"]]
            told = (content["claim"], content["quick"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path} does not hold results: {error}\n{remedy}") from error
        if told != (claim, quick):
            kind = "quick results" if told[1] else "results"
            raise UserError(f"{path} holds {kind} of the claim {told[0]!r}\n{remedy}")
        self.records = {(record.arm, record.seed): record for record in records}

    def keep(self, record: Record) -> None:
        self.records[record.arm, record.seed] = record
        self._write({})

    def decide(self, findings: Sequence[Finding]) -> None:
        """Keep what was found of a whole claim."""
        told = [
            {
                "figure": finding.figure,
                "verdict": finding.verdict.value,
                "sentence": str(finding),
                "interval": finding.interval and dataclasses.asdict(finding.interval),
            }
            for finding in findings
        ]
        self._write({"verdict": overall(findings).value, "findings": told})

    def _write(self, more: Mapping[str, Any]) -> None:
        runs = [dataclasses.asdict(record) for record in self.records.values()]
        content = {"claim": self._claim, "quick": self._quick, **more, "runs": runs}
        with writing(self.path), replacing(self.path) as beside:
            beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def digest(config: AnyConfig) -> str:
    """The same for the same options alone, but for those that change no figure."""
    options = config.model_dump(mode="json", exclude=CHANGE_NOTHING)
    values = json.dumps({"kind": config.kind, **options}, sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()


def named(report: Report) -> dict[str, float]:
    """All figures of a report by their names, e.g. "geneval overall", "colour entropy"."""
    rewards = {f"{shown(name)} {what}": v for (name, what), v in figures(report).items()}
    return {**rewards, **{name.replace("/", " "): v for name, v in report.variety.items()}}


def _curve(run: RunFolder) -> list[dict[str, float]]:
    evaluations, seconds, found = 0.0, 0.0, []
    for line in run.metrics():
        measured = {
            name: value
            for name, value in line.items()
            if name.startswith(ON_THE_WAY) and value is not None
        }
        if measured:
            iteration = float(line["iteration"] or 0)
            so_far = {"evaluations": evaluations, "minutes": seconds / 60}
            found.append({"iteration": iteration, **so_far, **measured})
        evaluations += line.get("evaluations") or 0.0
        seconds += sum(line.get(name) or 0.0 for name in SECONDS)
    return found


def _along(curve: Sequence[Mapping[str, float]], rewards: Sequence[str]) -> dict[str, float]:
    """Figure -> its mean over a curve after the first point."""
    found = {}
    for reward in rewards:
        prefix = HELDOUT + reward
        for name in curve[1] if len(curve) > 1 else {}:
            if name == prefix or name.startswith(f"{prefix}/"):
                what = name.removeprefix(prefix).removeprefix("/") or "reward"
                mean = statistics.fmean(point[name] for point in curve[1:] if name in point)
                found[f"{shown(reward)} {what}"] = mean
    return found
