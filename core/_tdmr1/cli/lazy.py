"""Commands that are imported when they are invoked, so that `tdmr1 --help` starts at once."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tdmr1.cli.help import laid_out
from tdmr1.errors import UserError
from tdmr1.installed import entry_points
from tdmr1.missing import remedy

ENTRY_POINT_GROUP = "tdmr1.commands"


class LazyCommand(TyperCommand):
    """Stands in `--help` for a command whose module is not imported yet.

    Args:
        name: of the command.
        target: "module:attribute" of a `typer.Typer` (a command with sub-commands) or of a
            function (a single command).
        help: one line.
        remedy: what to type when the module, or one that it needs, is missing; by default as
            `tdmr1.missing.remedy` says.
        distribution: that brings the module.
    """

    def __init__(
        self, name: str, target: str, help: str, remedy: str = "", distribution: str = ""
    ) -> None:
        super().__init__(name, help=help, short_help=help)
        self.target = target
        self.remedy, self.distribution = remedy, distribution

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        # The first thing that a group asks of a command it is going to run. The context belongs
        # to the real command, so from here on nobody sees this one again.
        target = self._import()
        host = typer.Typer(rich_markup_mode=None)
        if isinstance(target, typer.Typer):
            host.add_typer(target, name=self.name)
        else:
            host.command(self.name)(target)
        command = typer.main.get_group(host).commands[str(self.name)]
        return laid_out(command).make_context(*args, **kwargs)

    def _import(self) -> Any:  # noqa: ANN401
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Commands(TyperGroup):
    """The whole command line, whose commands import what they need as late as they can.

    Raises:
        UserError: on invocation, when something cannot be imported; says the remedy.
    """

    def invoke(self, context: Any) -> Any:  # noqa: ANN401
        try:
            return super().invoke(context)
        except ImportError as error:
            command = self.commands[str(context.invoked_subcommand)]
            assert isinstance(command, LazyCommand), "there are no others"
            advice = command.remedy or remedy(error, command.distribution)
            raise UserError(
                f"`tdmr1 {command.name}` cannot start: {error}\ntry: {advice}"
            ) from error


def installed_commands() -> list[LazyCommand]:
    """The commands that other packages add, by name; reads their metadata and imports none."""
    commands = []
    for entry in sorted(entry_points(ENTRY_POINT_GROUP), key=lambda e: e.name):
        assert entry.dist is not None, "entry_points() always says where one comes from"
        metadata = entry.dist.metadata
        commands.append(
            LazyCommand(
                name=entry.name,
                target=entry.value,
                help="".join(metadata.get_all("Summary", [])),
                distribution=entry.dist.name,
            )
        )
    return commands
