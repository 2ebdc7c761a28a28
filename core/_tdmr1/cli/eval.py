"""`tdmr1 eval`: what rewards say of a run, a model or images; and which of two is better."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tdmr1.cli import complete
from tdmr1.cli.machine import tell_load
from tdmr1.cli.train import Checkpoint, Rewards, Settings
from tdmr1.errors import UserError
from tdmr1.progress import showing, starting

if TYPE_CHECKING:
    from tdmr1.rewards.offline.pairing import Picture
    from tdmr1.trainers.evaluation.paired import Paired
    from tdmr1.trainers.evaluation.report import Report


def evaluate(
    what: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN_OR_IMAGES [ANOTHER]]",
            help="Run folder of `tdmr1 train` or `tdmr1 distill`, or folder of images; two are "
            "compared.",
            autocompletion=complete.runs,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Generator, where no run is named; by default shapes.",
            autocompletion=complete.models,
        ),
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="Where no run is named: a folder, a file or a Hub id.")
    ] = None,
    set: Settings = None,
    reward: Rewards = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Prompt file; by default the held-out ones. Of images: as `tdmr1 rewards score` "
            "takes it; without it they are laid out as GenEval's."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Images per tag and seed.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Of the noise; repeatable, all are pooled.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder that takes all pictures, laid out as GenEval's.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Of images: JSON lines of the verdicts, as GenEval's evaluator's."),
    ] = None,
    checkpoint: Checkpoint = "best",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score teacher, student before and student after on held-out prompts and fixed noise.

    In brackets: 95 % intervals, over prompts. Of two, the last columns are compared picture by
    picture; two runs as they were last evaluated, unless an option changes that.
    """
    from tdmr1.rewards.discovery.stdout import stdout_to_stderr
    from tdmr1.trainers.evaluation.table import as_table, paired_table

    places = what or []
    if len(places) > 2 or (places and (model, student) != (None, None)):
        raise UserError(
            "name one or two runs or folders of images; or a generator, by --model and --student"
        )
    with stdout_to_stderr(), showing(sys.stderr):
        tell_load()
        with starting():
            from tdmr1.trainers.config import TrainConfig, build_config
            from tdmr1.trainers.loop import jobs
            from tdmr1.trainers.loop.choice import BEST, choose
            from tdmr1.trainers.loop.run import RunFolder

        if results and (len(places) != 1 or RunFolder(places[0]).started):
            raise UserError(
                "--results is of one folder of images; a generator's: --pictures OUT, and then "
                "tdmr1 eval OUT/after --results FILE"
            )
        if results and results.is_dir():
            raise UserError(f"--results is a file, and {results} is a folder; name one in it")
        changed = bool(reward or prompts or images or seed or pictures)
        found: list[Mapping[str, Report]] = []
        judged: Sequence[Picture] = ()
        for place, name in zip(places, _names(places), strict=True):
            run = RunFolder(place)
            if not run.started:
                if images or seed or pictures or checkpoint != BEST:
                    raise UserError(
                        f"{place} is not a run; images that exist already are taken as they are, "
                        "without --images, --seed, --pictures and --checkpoint"
                    )
                report, judged = jobs.evaluate_images(place, reward or [], prompts, set or ())
                found.append({"images": report})
                continue
            if set:
                raise UserError(
                    f"{place} is a run, and keeps its options; --set is of images, or of a "
                    "generator that --model names"
                )
            takes_last = choose(run, checkpoint).iterations == run.config().iterations
            kept = run.reports() if len(places) == 2 and takes_last and not changed else {}
            if "after" in kept and kept["after"].scores is not None:
                found.append(kept)
                continue
            into = pictures and (pictures / name if len(places) == 2 else pictures)
            found.append(
                jobs.evaluate(
                    run, reward or None, prompts, images, seed or (), into, checkpoint=checkpoint
                )
            )
        if not places:
            if checkpoint != BEST:
                raise UserError("--checkpoint chooses among the students of a run; name one")
            chosen: dict[str, Any] = {
                "model": model,
                "student": student,
                "rewards": reward or None,
            }
            chosen |= {"heldout": prompts and str(prompts), "eval_images": images}
            config = build_config(TrainConfig, None, None, set or [], chosen)
            found = [jobs.evaluate_model(config, seed or (), pictures)]
        reports = found[0]
        if len(found) == 2:
            last = (list(of.values())[-1] for of in found)
            reports = dict(zip(_names(places), last, strict=True))
        pairs = _against_last(reports)
    if as_json:
        told = {who: report.to_json() for who, report in reports.items()}
        typer.echo(json.dumps({**told, "paired": _plain(pairs)}, indent=2))
    else:
        typer.echo(as_table(reports, intervals=True))
        for (first, second), rewards in pairs.items():
            typer.echo(f"\n{paired_table(first, second, rewards)}")
    if results:  # last, so that what cannot be written costs no figures
        from tdmr1.trainers.evaluation.results import write_results

        scores = reports["images"].scores
        assert scores is not None, "they have just been measured"
        write_results(results, judged, scores)
        typer.echo(f"results: {results}", err=True)


def _against_last(reports: Mapping[str, Report]) -> dict[tuple[str, str], dict[str, Paired]]:
    """(who, the last) -> reward -> by how much the last is better."""
    from tdmr1.trainers.evaluation.paired import compare_scores

    *others, last = reports
    pairs = {}
    for who in others:
        first, second = reports[who].scores, reports[last].scores
        assert first is not None and second is not None, "they have just been measured"
        pairs[who, last] = compare_scores(first, second, (who, last))
    return pairs


def _names(places: Sequence[Path]) -> list[str]:
    """The last part of each path, or all of it where they have that in common."""
    short = [place.absolute().name for place in places]
    return short if len({*short}) == len(short) else [str(place) for place in places]


def _plain(pairs: Mapping[tuple[str, str], Mapping[str, Paired]]) -> list[dict[str, Any]]:
    return [
        {
            "first": first,
            "second": second,
            "rewards": {name: dataclasses.asdict(pair) for name, pair in rewards.items()},
        }
        for (first, second), rewards in pairs.items()
    ]
