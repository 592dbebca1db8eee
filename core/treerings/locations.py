"""Where data and configuration live; imports no pydantic."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["config_file", "data_dir"]


def data_dir() -> Path:
    """Where the default store and the spool live: `TREERINGS_DATA_DIR` or the user's data directory."""
    given = os.environ.get("TREERINGS_DATA_DIR")
    return Path(given) if given else Path(platformdirs.user_data_dir("treerings", appauthor=False))


def config_file() -> Path | None:
    """The file in effect: `TREERINGS_CONFIG`, else the nearest `treerings.toml` upwards, else the user's; or None."""
    given = os.environ.get("TREERINGS_CONFIG")
    if given:
        return Path(given)
    try:
        here = Path.cwd()
    except OSError:  # the working directory was deleted
        return None
    for folder in (here, *here.parents):
        if (found := folder / "treerings.toml").is_file():
            return found
    found = Path(platformdirs.user_config_dir("treerings", appauthor=False)) / "treerings.toml"
    return found if found.is_file() else None
