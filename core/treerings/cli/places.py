"""`treerings where`: the store, the files and the settings in effect."""

from __future__ import annotations

from typing import Any

import click

from .options import output_options

__all__ = ["where"]


@click.command(short_help="Print the store, files and settings in effect.")
@output_options
def where(as_json: bool, no_color: bool) -> None:
    """Print where things are: the store, the data folder, the configuration file, every setting and its origin."""
    from .output import console, grid, print_json

    data = _places()
    if as_json:
        print_json(data)
        return
    out = console(no_color=no_color)
    places = [("store", data["store"]), ("store file", _file_text(data)), ("data folder", data["data_dir"])]
    places.append(
        ("config file", data["config_file"] or "none (treerings.toml here, above, or in the user's config folder)")
    )
    out.print(grid(["", ""], [[(name, "bold"), (str(value), "")] for name, value in places]))
    out.print()
    rows = [[(s["name"], "bold"), (str(s["value"]), ""), (s["origin"], "bright_black")] for s in data["settings"]]
    out.print(grid(["setting", "value", "origin"], rows))


def _places() -> dict[str, Any]:
    from ..locations import config_file, data_dir
    from ..settings import load_settings, origins
    from .stores import local_path, safe_url

    settings = load_settings()
    sources = origins(settings)
    path = local_path(settings.store)
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    values["store"] = safe_url(settings.store)
    config = config_file()
    return {
        "store": safe_url(settings.store),
        "store_path": None if path is None else str(path.absolute()),
        "store_exists": None if path is None else path.exists(),
        "store_bytes": path.stat().st_size if path is not None and path.is_file() else None,
        "data_dir": str(data_dir()),
        "config_file": None if config is None else str(config),
        "settings": [{"name": name, "value": value, "origin": sources[name]} for name, value in values.items()],
    }


def _file_text(data: dict[str, Any]) -> str:
    if data["store_path"] is None:
        return "none"
    if not data["store_exists"]:
        return f"{data['store_path']} (not there yet)"
    if data["store_bytes"] is None:
        return str(data["store_path"])
    return f"{data['store_path']} ({data['store_bytes'] / 1_000_000:,.1f} MB)"
