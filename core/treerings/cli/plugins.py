"""`treerings plugins`: what is installed, what each does, what is missing."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

import click

from .options import output_options

if TYPE_CHECKING:
    from ..registry import Integration, PluginInfo

__all__ = ["plugins"]


@click.command()
@output_options
def plugins(as_json: bool, no_color: bool) -> None:
    """List plugins and frameworks: what is installed, what it hooks into, what is missing and how to install it."""
    from .. import runtime
    from .output import console, print_json

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
    out.print(_plugin_table(infos))
    out.print()
    out.print(_framework_table(integrations))


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
        "installed": integration.installed,
        "version": package_version(integration.package) if integration.installed else None,
        "install": None if integration.installed else integration.install_hint,
    }


def package_version(package: str) -> str | None:
    """The version of the distribution that is named like its package."""
    try:
        return metadata.version(package.partition(".")[0].replace("_", "-"))
    except metadata.PackageNotFoundError:
        return None


def _plugin_table(infos: list[PluginInfo]) -> Any:
    from ..rendering import clean
    from ..rendering.table import Cell, Column, Table

    names = [
        Cell([("✗ ", "bold red") if i.problem else ("✓ ", "green"), (clean(i.name), "bold")], cut=1) for i in infos
    ]
    origins = [Cell([(clean(" ".join(part for part in (i.distribution, i.version) if part)), "")]) for i in infos]
    does = [Cell([(clean(", ".join(i.contributes or i.hooks)), "")]) for i in infos]
    problems = {
        index: [[("  ", ""), (clean(info.problem), "red")]]
        for index, info in enumerate(infos)
        if info.problem is not None
    }
    columns = [
        Column("plugin", names, least=12),
        Column("from", origins, drop=1, least=14),
        Column("does", does, least=20),
    ]
    return Table(columns, problems)


def _framework_table(integrations: list[Integration]) -> Any:
    from ..rendering import clean
    from ..rendering.table import Cell, Column, Table

    rows = [framework_data(integration) for integration in integrations]
    names = [
        Cell([("✓ ", "green") if r["installed"] else ("– ", "bright_black"), (clean(r["name"]), "bold")], cut=1)
        for r in rows
    ]
    states = [
        Cell([(f"installed{' ' + r['version'] if r['version'] else ''}", "green")])
        if r["installed"]
        else Cell([("not installed: ", "bright_black"), (r["install"], "")], cut=1)
        for r in rows
    ]
    packages = [Cell([(clean(r["package"]), "bright_black")]) for r in rows]
    return Table(
        [Column("framework", names, least=12), Column("package", packages, drop=1), Column("state", states, least=20)]
    )
