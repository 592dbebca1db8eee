"""The settings, from the environment (`TREERINGS_...`) and `treerings.toml`."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigError
from .locations import config_file, data_dir

__all__ = ["Settings", "load_settings", "origins"]


class Settings(BaseSettings):
    """Every setting, with its unit. The environment goes before `treerings.toml`, arguments before both."""

    model_config = SettingsConfigDict(env_prefix="TREERINGS_", extra="forbid", frozen=True, env_ignore_empty=True)

    enabled: bool = True
    """Whether anything is recorded."""
    store: str = Field(default_factory=lambda: f"sqlite:///{data_dir() / 'treerings.db'}")
    """The URL of the store, or the path of an SQLite file."""
    content: Literal["full", "truncated", "hash", "none"] = "truncated"
    """What of inputs and outputs is kept."""
    max_content: int = Field(default=16_384, ge=0)
    """Characters kept of each string when `content` is `truncated`."""
    flush_interval: float = Field(default=0.1, gt=0, le=60)
    """Seconds between two writes: what a killed process can lose."""
    max_queue: int = Field(default=20_000, ge=1)
    """Events that may wait; past it the emitting thread helps with the work."""
    durability: Literal["interval", "strict"] = "interval"
    """`strict`: a step's end returns after the step is on disk."""
    sample: float = Field(default=1.0, ge=0, le=1)
    """The share of workflows that is recorded, chosen at their root."""
    exit_timeout: float = Field(default=10.0, ge=0)
    """Seconds that the end of the interpreter may wait for the last writes."""
    disabled_plugins: tuple[str, ...] = ()
    """Names of installed plugins that are not loaded."""
    prices: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Your own prices by model, in USD per million tokens: see the accounting page."""
    deployments: dict[str, str] = Field(default_factory=dict)
    """Names of deployments (Azure) and the models behind them."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings


def load_settings(**given: Any) -> Settings:
    """The settings in effect, `given` before all others. Raises `ConfigError` that names the key and the place."""
    path = config_file()
    from_file = _read(path) if path is not None else {}
    for key in (*given, *from_file):
        if key not in Settings.model_fields:
            near = difflib.get_close_matches(key, Settings.model_fields, 1)
            place = path if key in from_file else "the call"
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(Settings.model_fields))}."
            raise ConfigError(f"Unknown setting {key!r} in {place}. {hint}")
    beneath = {key: value for key, value in from_file.items() if f"TREERINGS_{key.upper()}" not in os.environ}
    try:
        return Settings(**{**beneath, **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        place = "the call" if key in given else path if key in beneath else f"the environment (TREERINGS_{key.upper()})"
        raise ConfigError(f"Setting {key!r} in {place}: {first['msg']}; got {first.get('input')!r:.80}") from None
    except ValueError as error:  # pydantic-settings on JSON in the environment
        raise ConfigError(f"Settings in the environment: {error}") from None


def origins(settings: Settings) -> dict[str, str]:
    """Where each setting comes from: `environment TREERINGS_X`, the file's path, or `default`."""
    path = config_file()
    from_file = _read(path) if path is not None else {}
    found = {}
    for key in Settings.model_fields:
        if f"TREERINGS_{key.upper()}" in os.environ:
            found[key] = f"environment TREERINGS_{key.upper()}"
        elif key in from_file:
            found[key] = str(path)
        else:
            found[key] = "default"
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
