"""The group of all commands: ours in their order, then those of plugins; our errors are one line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..errors import TreeringsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..registry import Registry

__all__ = ["Commands"]


class Commands(click.Group):
    """Knows its own commands without loading plugins; asks those for theirs when a name is unknown, and for help."""

    def __init__(self, name: str, *, help: str, commands: Sequence[click.Command]) -> None:
        super().__init__(name, help=help, context_settings={"help_option_names": ["-h", "--help"]})
        self._own = [command.name for command in commands]
        self._asked_plugins = False
        for command in commands:
            self.add_command(command)
        click.version_option(__version__, prog_name="treerings")(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._ask_plugins()
        own = [name for name in self._own if name is not None]
        return own + sorted(set(self.commands) - set(own))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and not self._asked_plugins:
            self._ask_plugins()
            command = super().get_command(ctx, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TreeringsError as error:
            raise click.ClickException(_one_line(error)) from error
        except KeyboardInterrupt:
            ctx.exit(130)

    def _ask_plugins(self) -> None:
        if self._asked_plugins:
            return
        self._asked_plugins = True
        registry = _registry()
        registry.load()
        own = dict(self.commands)
        registry.tell("register_commands", cli=self)
        self.commands.update(own)


def _registry() -> Registry:
    """The installed plugins, all of them or those that the settings leave.

    Reading settings takes longer than all else that `--help` does: it is left out where nothing can be disabled.
    """
    from ..locations import config_file

    if config_file() is not None or "TREERINGS_DISABLED_PLUGINS" in os.environ:
        from .. import runtime

        return runtime.registry()

    from ..registry import Registry

    return Registry()


def _one_line(error: Exception) -> str:
    from ..rendering import clean

    return clean(str(error))
