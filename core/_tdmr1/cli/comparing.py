"""`tdmr1 rewards compare`: one reward with several values of an option, on the same images."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.finite import finite
from tdmr1.cli.scoring import score_all
from tdmr1.errors import UserError
from tdmr1.progress import showing, task
from tdmr1.tables import as_columns

if TYPE_CHECKING:  # `tdmr1 rewards list` imports this module, too, and must start fast
    from tdmr1.rewards.discovery.spec import RewardSpec
    from tdmr1.rewards.offline.compare import Comparison


def compare(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Reward, NAME[@PLACE].", autocompletion=complete.rewards
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR_OR_FILES]",
            help="Folders and image files; none: examples that the reward's package draws, "
            "beside --out.",
        ),
    ] = None,
    over: Annotated[
        str,
        typer.Option(
            metavar="OPTION=VALUE,VALUE",
            help="An option of the reward and the values that are compared, each VALUE[@PLACE].",
        ),
    ] = "",
    engines: Annotated[
        str, typer.Option(metavar="VALUE,VALUE", help="The same as --over engine=VALUE,VALUE.")
    ] = "",
    prompts: Annotated[
        Path | None, typer.Option(help="Prompt file, as of `tdmr1 rewards score`.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="key=value, an option of all; repeatable.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="JSON lines; what is in it is not scored again.")
    ] = Path("comparison.jsonl"),
    batch: Annotated[int, typer.Option(min=1, help="Images scored, and timed, at a time.")] = 1,
    show: Annotated[
        int, typer.Option(min=0, help="Images that are shown where they differ.")
    ] = 10,
    reward_timeout: Annotated[
        float, typer.Option(callback=finite, min=0.001, help="Seconds for one batch.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare what a reward says with several values of an option, and what time each takes.

    Exit status: 0, or 1 if anything ended as an error.
    """
    from tdmr1.rewards.cache.identity import identify
    from tdmr1.rewards.discovery.options import parse_options
    from tdmr1.rewards.discovery.spec import absolute_source
    from tdmr1.rewards.discovery.stdout import stdout_to_stderr
    from tdmr1.rewards.offline.compare import comparison
    from tdmr1.rewards.offline.layout import read_pictures
    from tdmr1.rewards.offline.scorefile import opened
    from tdmr1.rewards.offline.variants import opened_variants, variants

    if bool(over) == bool(engines):
        raise UserError(
            "say what is compared: --over OPTION=VALUE,VALUE, or --engines VALUE,VALUE for the "
            "option `engine`"
        )
    if prompts and not images:
        raise UserError(f"--prompts {prompts} is of images; name them, too")
    over = over or f"engine={engines}"
    compared = variants(absolute_source(name), over, parse_options(option or []))
    with opened(out.absolute()) as lines:
        with stdout_to_stderr(), showing(sys.stderr):
            with task("looking for images"):
                found_in = images or [_examples(compared[0].spec, out)]
                pictures, unused = read_pictures(found_in, prompts)
            with opened_variants(compared, reward_timeout) as scorers:
                identities = {n: identify(scorer.place.info) for n, scorer in scorers.items()}
                score_all(pictures, scorers, identities, lines, batch)
        found = comparison(compared, scorers, pictures, lines)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        shown = [_of_values(found), *([_of_tags(found)] if found.tags else [])]
        if found.differ[:show]:
            shown.append(_of_images(found, show))
        typer.echo("\n\n".join(shown))
        typer.echo(f"\n{len(found.differ)} of {found.images} images differ; scores: {out}")
        if unused:
            typer.echo(f"{unused} lines of {prompts} name none of these images")
    if any(of.errors for of in found.values):
        typer.echo(f"errors are in {out}; the same command tries those images again", err=True)
        raise typer.Exit(1)


def _examples(spec: RewardSpec, out: Path) -> Path:
    """The folder of a reward's own examples, beside the scores; drawn where there is none yet."""
    from tdmr1.rewards.offline.examples import draw_examples

    folder = out.with_name(f"{out.stem}-images")
    if not folder.exists():
        draw_examples(spec, folder)
    return folder


def _of_values(found: Comparison) -> str:
    """A row for each value; its last columns say with which others it agrees."""
    heads = (found.option, "mean", "passed", "abstained", "errors", "ms an image")
    rows = [
        (
            of.value,
            _number(of.mean),
            _share(of.passed),
            str(of.abstained),
            str(of.errors),
            "-" if of.milliseconds is None else f"{of.milliseconds:.0f}",
            *("" if of is other else _share(of.agrees[other.value]) for other in found.values),
        )
        for of in found.values
    ]
    return as_columns((*heads, *(f"as {of.value}" for of in found.values)), rows)


def _of_tags(found: Comparison) -> str:
    """A row of means for each tag; its last column says on how many images all agree."""
    heads = ("tag", "images", *(of.value for of in found.values), "all the same")
    rows = [
        (of.tag, str(of.images), *map(_number, of.means.values()), _share(of.same))
        for of in found.tags
    ]
    return as_columns(heads, rows)


def _of_images(found: Comparison, most: int) -> str:
    """The images that differ most, with a row for what is said with each value."""
    rows = [
        (
            difference.file if number == 0 else "",
            value,
            "error" if line.error is not None else _number(line.value),
            line.error or line.reason,
        )
        for difference in found.differ[:most]
        for number, (value, line) in enumerate(difference.says.items())
    ]
    return as_columns(("image", found.option, "score", "why"), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
