"""`tdmr1 reproduce CLAIM`: the runs behind a claim, and what they say of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tdmr1.cli import complete
from tdmr1.cli.machine import tell_load
from tdmr1.cli.train import ConfigFile, Model, Preset, Rewards, Settings, continuable
from tdmr1.errors import UserError
from tdmr1.progress import showing, starting, task
from tdmr1.tables import as_columns, columns, fold
from tdmr1.trainers.evaluation.claims import ARMS, CLAIMS, SEEDS
from tdmr1.trainers.evaluation.verdict import Spread, overall, summarize

if TYPE_CHECKING:  # imported where they are needed, so that `--help` and the shell's Tab are fast
    from tdmr1.trainers.config import TrainConfig
    from tdmr1.trainers.loop.reproduce import Reproduction
    from tdmr1.trainers.loop.results import Record


def reproduce(
    claim: Annotated[
        str | None,
        typer.Argument(
            help=f"One of: {', '.join(CLAIMS)}; docs/reproduce.md says what each is.",
            autocompletion=complete.claims,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Every claim, one after another.")] = False,
    model: Model = None,
    reward: Rewards = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    iterations: Annotated[
        int | None, typer.Option(help="Of the first arm; the others take its budget.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many, from 0.")] = len(SEEDS),
    quick: Annotated[
        bool, typer.Option("--quick", help="Two iterations of each arm, one seed, no verdict.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Run folders and CLAIM.json go here.")] = Path("runs"),
    plots: Annotated[
        Path | None,
        typer.Option(help="FOLDER/CLAIM takes the claim's curves as SVG and PNG."),
    ] = None,
) -> None:
    """Train the arms of a claim, one run a seed, and say whether it holds.

    Runs that have ended in OUT are not repeated; one that was stopped is continued.
    """
    if all == (claim is not None):
        raise UserError(f"name one claim, or --all; there are: {', '.join(CLAIMS)}")
    if claim is not None and claim not in CLAIMS:
        raise UserError(f"unknown claim {claim!r}; there are: {', '.join(CLAIMS)}")
    arguments = {"model": model, "rewards": reward or None}
    typed = {"model": model, "preset": preset, "config": config, "iterations": iterations}
    again = [
        *("tdmr1", "reproduce", claim or "--all"),
        *(f"--{name}={value}" for name, value in typed.items() if value is not None),
        *(f"--reward={text}" for text in reward or ()),
        *(f"--set={text}" for text in set or ()),
        *([f"--seeds={seeds}"] if seeds != len(SEEDS) else ()),
        *(["--quick"] if quick else ()),
        *("--out", str(out)),
        *(("--plots", str(plots)) if plots is not None else ()),
    ]
    where = out / "quick" if quick else out
    with showing(sys.stdout):
        tell_load()
        with starting():
            from tdmr1.trainers.config import TrainConfig, build_config
            from tdmr1.trainers.loop.reproduce import Reproduction

        def base(name: str) -> TrainConfig:
            length = iterations or CLAIMS[name].iterations
            given: dict[str, Any] = {**arguments, "iterations": length}
            return build_config(TrainConfig, preset, config, set or (), given)

        chosen = [
            Reproduction(name, base(name), range(1 if quick else seeds), where, quick)
            for name in (CLAIMS if claim is None else [claim])
        ]
        runs = [(reproduction, *run) for reproduction in chosen for run in reproduction.runs()]
        missing = {(arm, seed) for made, arm, seed in runs if not made.ended(arm, seed)}
        with task(claim or "all claims", len(missing), "trainings") as reproducing:
            for reproduction, arm, seed in runs:
                with continuable(reproduction.folder(arm, seed), shlex.join(again)):
                    reproduction.run(arm, seed)
                if (arm, seed) in missing:
                    missing.remove((arm, seed))
                    reproducing.advance()
    for reproduction in chosen:
        typer.echo(_told(reproduction))
        if plots is not None:
            _draw(reproduction, plots / reproduction.name)


def _draw(reproduction: Reproduction, folder: Path) -> None:
    with showing(sys.stdout), starting():
        from tdmr1.trainers.report.claim import write_charts

    claim = reproduction.claim
    write_charts(claim, {arm: reproduction.records(arm) for arm in claim.arms}, folder)
    typer.echo(f"plots: {folder}")


def _told(reproduction: Reproduction) -> str:
    """Table and verdict of a claim."""
    claim = reproduction.claim
    records = {arm: reproduction.records(arm) for arm in claim.arms}
    first = records[claim.arms[0]]
    spreads = {arm: summarize([r.figures for r in of]) for arm, of in records.items()}
    table = {
        "teacher": spreads[claim.arms[0]].get("teacher", {}),
        "before": spreads[claim.arms[0]].get("before", {}),
        **{arm: spreads[arm].get("after", {}) for arm in claim.arms},
    }
    nfe = {"teacher": first[0].nfe.get("teacher"), "before": first[0].nfe.get("before")}
    nfe |= {arm: of[0].nfe.get("after") for arm, of in records.items()}
    names = dict.fromkeys(name for mine in table.values() for name in mine)
    rows = [(name, *(str(mine.get(name, "-")) for mine in table.values())) for name in names]
    for label, of in (("minutes", "minutes"), ("network evaluations", "evaluations")):
        spent = [Spread.of([getattr(r, of) for r in records[arm]]) for arm in records]
        rows.append((f"training, {label}", "-", "-", *(f"{x.mean:,.1f}" for x in spent)))
    heads = ["figure", *(f"{who}\n{nfe[who]} NFE" for who in table)]
    images = ", ".join(f"{count} for {name}" for name, count in first[0].images.items())
    count = len(first)
    notes = [
        f"{claim.about}: mean (smallest-largest) of {count} {'seed' if count == 1 else 'seeds'}; "
        f"images of each: {images}",
        *(f"{arm}: {ARMS[arm].about}" for arm in claim.arms),
        *_machines(records),
    ]
    findings = reproduction.decide()
    verdict = [f"{reproduction.name}: {overall(findings).value}", *map(str, findings)]
    if not findings:
        verdict = [f"{reproduction.name}: no verdict, as the arms were a few iterations each"]
    lines = [*_folded(notes), as_columns(heads, rows), *_folded(verdict)]
    return "\n".join([*lines, f"figures and curves: {reproduction.results.path}"])


def _machines(records: Mapping[str, Sequence[Record]]) -> list[str]:
    """Where the runs were trained, if not all on machines of one kind."""
    runs: dict[str, list[str]] = {}
    for arm, of in records.items():
        for record in of:
            runs.setdefault(record.machine, []).append(f"{arm} {record.seed}")
    told = [f"{machine}: {', '.join(names)}" for machine, names in runs.items()]
    return [f"trained on different machines, {'; '.join(told)}"] if len(told) > 1 else []


def _folded(lines: Sequence[str]) -> list[str]:
    return fold("\n".join(lines), columns())
