"""`tdmr1 rewards score`: score images that exist already."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli.share import share

if TYPE_CHECKING:  # `tdmr1 rewards list` imports this module, too, and must start fast
    from rich.console import Console

    from tdmr1.rewards.mixing.mix import RewardMix
    from tdmr1.rewards.offline.pairing import Picture
    from tdmr1.rewards.offline.score import Summary
    from tdmr1.rewards.offline.scorefile import ScoreFile


def score(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Reward, NAME[@PLACE].")],
    images: Annotated[
        list[Path], typer.Argument(metavar="DIR_OR_FILES", help="Folders and image files.")
    ],
    prompts: Annotated[
        Path,
        typer.Option(help='Prompt file, with a "file" each, or one prompt an image in order.'),
    ],
    reward: Annotated[
        list[str] | None, typer.Option("--reward", "-r", help="One more reward; repeatable.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="key=value, an option of NAME; repeatable.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="JSON lines; what is in it is not scored again.")
    ] = Path("scores.jsonl"),
    batch: Annotated[int, typer.Option(min=1, help="Images scored at a time.")] = 32,
    reward_timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds for one batch.")
    ] = 60.0,
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
    from rich.console import Console

    from tdmr1.rewards.cache.store import open_cache
    from tdmr1.rewards.discovery.options import parse_options
    from tdmr1.rewards.offline.pairing import find_images, pair
    from tdmr1.rewards.offline.score import open_rewards, summarize
    from tdmr1.rewards.offline.scorefile import ScoreFile

    console = Console(markup=False, highlight=False, soft_wrap=True)
    pictures, unused = pair(find_images(images), prompts)
    lines = ScoreFile(out)
    cache = open_cache(reward_cache)
    names = [name, *(reward or [])]
    mix, identities = open_rewards(
        names, reward_timeout, max_reward_errors, parse_options(option or []), cache
    )
    with contextlib.closing(mix):
        known = _run(pictures, mix, identities, lines, batch)
    summaries = {reward: summarize(pictures, reward, lines) for reward in identities}
    _print_table(summaries, console)
    if unused:
        console.print(f"{unused} lines of {prompts} name none of these images")
    if known:
        console.print(f"{known} of {len(pictures) * len(names)} scores were in {out} already")
    if cache is not None:
        console.print(f"{sum(mix.cache_hits().values())} were in the cache {cache.path}")
        cache.close()
    console.print(f"scores: {out}")
    if any(summary.errors for of_reward in summaries.values() for summary in of_reward):
        console.print(f"errors are in {out}; the same command tries those images again")
        raise typer.Exit(1)


def _run(
    pictures: Sequence[Picture],
    mix: RewardMix,
    identities: Mapping[str, str],
    lines: ScoreFile,
    batch: int,
) -> int:
    """Score behind a progress bar; how many scores were known."""
    from rich.console import Console
    from rich.progress import Progress

    from tdmr1.errors import UserError
    from tdmr1.rewards.errors import RewardError
    from tdmr1.rewards.offline.score import score_pictures

    display = Console(stderr=True)
    try:
        with Progress(console=display, transient=True, disable=not display.is_terminal) as bar:
            task = bar.add_task(f"scoring with {', '.join(identities)}", total=len(pictures))

            def advance(done: int) -> None:
                bar.advance(task, done)

            known = score_pictures(pictures, mix.scorers, identities, lines, batch, advance)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    except RewardError as error:
        raise UserError(
            f"{error}\nthe scores so far are in {lines.path}; the same command goes on from there"
        ) from error
    lines.tidy()
    return known


def _print_table(summaries: Mapping[str, Sequence[Summary]], console: Console) -> None:
    from rich.table import Table

    table = Table("reward", "tag", "images", "mean", "passed", "abstained", "errors", box=None)
    for reward, of_reward in summaries.items():
        for row in of_reward:
            table.add_row(
                reward,
                "all" if row.tag is None else row.tag,
                str(row.images),
                "-" if row.mean is None else f"{row.mean:.3f}",
                "-" if row.passed is None else f"{row.passed:.1%}",
                str(row.abstained),
                str(row.errors),
            )
    console.print(table)
