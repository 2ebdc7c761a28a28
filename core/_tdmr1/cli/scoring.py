"""`tdmr1 rewards score`: score images that exist already."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.finite import finite
from tdmr1.cli.share import share
from tdmr1.progress import showing, task
from tdmr1.tables import as_columns

if TYPE_CHECKING:  # `tdmr1 rewards list` imports this module, too, and must start fast
    from tdmr1.rewards.mixing.scoring import Scorer
    from tdmr1.rewards.offline.pairing import Picture
    from tdmr1.rewards.offline.score import Summary
    from tdmr1.rewards.offline.scorefile import ScoreFile


def score(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Reward, NAME[@PLACE].", autocompletion=complete.rewards
        ),
    ],
    images: Annotated[
        list[Path], typer.Argument(metavar="DIR_OR_FILES", help="Folders and image files.")
    ],
    prompts: Annotated[
        Path | None,
        typer.Option(
            help='Prompt file, with a "file" each, or one prompt an image in order; without it '
            "DIR is laid out as GenEval's: 00000/metadata.jsonl, 00000/samples/0000.png."
        ),
    ] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            "--reward",
            "-r",
            help="One more reward; repeatable.",
            autocompletion=complete.rewards,
        ),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="key=value, an option of NAME; repeatable.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="JSON lines; what is in it is not scored again.")
    ] = Path("scores.jsonl"),
    batch: Annotated[int, typer.Option(min=1, help="Images scored at a time.")] = 32,
    reward_timeout: Annotated[
        float, typer.Option(callback=finite, min=0.001, help="Seconds for one batch.")
    ] = 60.0,
    reward_wait: Annotated[
        float,
        typer.Option(callback=finite, min=0, help="Seconds for a server that cannot be reached."),
    ] = 0.0,
    max_reward_errors: Annotated[
        float,
        typer.Option(
            parser=share,
            metavar="SHARE",
            help="Of samples that may fail, per reward, e.g. 1%.",
            show_default="10%",
        ),
    ] = 0.1,
    reward_cache: Annotated[
        str, typer.Option(help="Scores of earlier runs: on, off, or a file.")
    ] = "on",
) -> None:
    """Score existing images; the same command goes on where it was stopped.

    Exit status: 0, or 1 if anything ended as an error.
    """
    from tdmr1.rewards.cache.store import open_cache
    from tdmr1.rewards.discovery.options import parse_options
    from tdmr1.rewards.discovery.spec import absolute_source, shown
    from tdmr1.rewards.offline.layout import read_pictures
    from tdmr1.rewards.offline.score import open_rewards, summarize
    from tdmr1.rewards.offline.scorefile import opened

    names = [absolute_source(given) for given in (name, *(reward or []))]
    with opened(out.absolute()) as lines, showing(sys.stderr):
        with task("looking for images"):
            pictures, unused = read_pictures(images, prompts)
        cache = open_cache(reward_cache)
        mix, identities = open_rewards(
            names,
            reward_timeout,
            max_reward_errors,
            parse_options(option or []),
            cache,
            reward_wait,
        )
        with contextlib.closing(mix):
            known = score_all(pictures, mix.scorers, identities, lines, batch)
    summaries = {reward: summarize(pictures, reward, lines) for reward in identities}
    typer.echo(_table(summaries))
    if unused:
        typer.echo(f"{unused} lines of {prompts} name none of these images")
    if known:
        typer.echo(f"{known} of {len(pictures) * len(names)} scores were in {out} already")
        for name, scorer in mix.scorers.items():
            if not scorer.place.info.cacheable:
                typer.echo(f"if {shown(name)} has come to judge otherwise, choose another --out")
    if cache is not None:
        typer.echo(f"{sum(mix.cache_hits().values())} were in the cache {cache.path}")
        cache.close()
    typer.echo(f"scores: {out}")
    if any(summary.errors for of_reward in summaries.values() for summary in of_reward):
        typer.echo(f"errors are in {out}; the same command tries those images again")
        raise typer.Exit(1)


def score_all(
    pictures: Sequence[Picture],
    scorers: Mapping[str, Scorer],
    identities: Mapping[str, str],
    lines: ScoreFile,
    batch: int,
) -> int:
    """Score, and say how far it is; how many scores were known."""
    from tdmr1.errors import UserError
    from tdmr1.rewards.discovery.spec import shown
    from tdmr1.rewards.errors import RewardError
    from tdmr1.rewards.offline.score import score_pictures

    try:
        with task(
            f"scoring with {', '.join(map(shown, identities))}", len(pictures), "images"
        ) as scoring:
            known = score_pictures(pictures, scorers, identities, lines, batch, scoring.advance)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    except RewardError as error:
        if not lines.path.exists():
            raise
        raise UserError(
            f"{error}\nthe scores so far are in {lines.path}; the same command goes on from there"
        ) from error
    lines.tidy()
    return known


def _table(summaries: Mapping[str, Sequence[Summary]]) -> str:
    from tdmr1.rewards.discovery.spec import shown

    heads = ("reward", "tag", "images", "mean", "passed", "abstained", "errors")
    rows = [
        (
            shown(reward),
            "all" if row.tag is None else row.tag,
            str(row.images),
            "-" if row.mean is None else f"{row.mean:.3f}",
            "-" if row.passed is None else f"{row.passed:.1%}",
            str(row.abstained),
            str(row.errors),
        )
        for reward, of_reward in summaries.items()
        for row in of_reward
    ]
    return as_columns(heads, rows)
