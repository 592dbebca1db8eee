"""`treerings plugins`: what is installed, what each does, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import output_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..registry import Integration, PluginInfo

__all__ = ["plugins"]


@click.command(short_help="List plugins and frameworks.")
@output_options
def plugins(as_json: bool, no_color: bool) -> None:
    """List plugins and frameworks: what is installed, what it hooks into, what is missing and how to install it."""
    from .. import runtime
    from .output import console, grid, print_json

    registry = runtime.registry()
    infos = registry.plugins()
    integrations = sorted(registry.integrations.values(), key=lambda integration: integration.name)
    if as_json:
        print_json(
            {
                "plugins": [plugin_data(info) for info in infos],
                "frameworks": [framework_data(integration) for integration in integrations],
            }
        )
        return
    out = console(no_color=no_color)
    out.print(grid(["", "plugin", "from", "does"], _plugin_rows(infos), whole=2))
    out.print()
    out.print(grid(["", "framework", "package", "state", "through"], _framework_rows(integrations), whole=2))


def plugin_data(info: PluginInfo) -> dict[str, Any]:
    """A plugin as plain data."""
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "hooks": list(info.hooks),
        "contributes": list(info.contributes),
        "problem": info.problem,
    }


def framework_data(integration: Integration) -> dict[str, Any]:
    """A framework that can be captured, as plain data."""
    return {
        "name": integration.name,
        "package": integration.package,
        "observes": integration.observes,
        "installed": integration.installed,
        "version": integration.version if integration.installed else None,
        "install": None if integration.installed else integration.install_hint,
    }


def _plugin_rows(infos: list[PluginInfo]) -> Iterator[list[tuple[str, str]]]:
    for info in infos:
        symbol = ("✗", "bold red") if info.problem else ("✓", "green")
        origin = " ".join(part for part in (info.distribution, info.version) if part)
        told = [hook for hook in info.hooks if not hook.startswith("register_") or hook == "register_commands"]
        yield [symbol, (info.name, "bold"), (origin, ""), (", ".join([*info.contributes, *told]), "")]
        if info.problem:
            yield [("", ""), ("", ""), ("", ""), (info.problem, "red")]


def _framework_rows(integrations: list[Integration]) -> Iterator[list[tuple[str, str]]]:
    for integration in integrations:
        data = framework_data(integration)
        symbol = ("✓", "green") if data["installed"] else ("–", "yellow")
        state = (
            (f"installed {data['version'] or ''}", "")
            if data["installed"]
            else (f"missing: {data['install']}", "yellow")
        )
        yield [
            symbol,
            (integration.name, "bold"),
            (integration.package, "bright_black"),
            state,
            (integration.observes, ""),
        ]
