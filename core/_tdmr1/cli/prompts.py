"""`tdmr1 prompts`: prompts for a reward to train on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli import complete
from tdmr1.errors import UserError

if TYPE_CHECKING:
    from tdmr1.rewards.prompt_source import PromptSource
    from tdmr1.rewards.prompts import PromptLine


def prompts(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Reward.", autocompletion=complete.rewards)
    ],
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(help="Prompt file of a test: nothing that it asks is asked; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 0,
) -> None:
    """Write prompts for a reward to train on: JSON lines, no two of which ask the same.

    tdmr1 prompts geneval --exclude evaluation_metadata.jsonl > train.jsonl
    """
    from tdmr1.rewards.discovery.prompts import find_prompts
    from tdmr1.rewards.prompt_source import draw_prompts

    source = find_prompts(name)
    known = [prompt for path in exclude or [] for prompt in _excluded(path, source)]
    found = draw_prompts(source, n, seed, known)
    tags = Counter(str(prompt.metadata.get("tag")) for prompt in found)
    told = ", ".join(f"{tags[tag]} {tag}" for tag in source.shares)
    if len(found) < n:
        beside = f" beside those of {', '.join(map(str, exclude))}" if exclude else ""
        raise UserError(
            f"--n is {n}, and there are {len(found)} prompts for reward {name!r}{beside} "
            f"({told}); --n {len(found)} writes them all"
        )
    for text, metadata in found:
        typer.echo(json.dumps({"prompt": text, **metadata}))
    typer.echo(f"{n} prompts: {told}", err=True)


def _excluded(path: Path, source: PromptSource) -> list[PromptLine]:
    """The prompts of a file, of each of which it is known what it asks for."""
    from tdmr1.rewards.prompts import read_prompt_file

    lines = read_prompt_file(path)
    for line in lines:
        try:
            source.asks(line)
        except ValueError as error:
            raise UserError(f"cannot exclude what {path} asks for: {error}") from error
    return lines
