"""The settings, from the environment (`TREERINGS_...`) and `treerings.toml`."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigError
from .locations import config_file, data_dir

__all__ = ["Settings", "given_settings", "load_settings", "origins", "usable_settings"]


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
        return init_settings, _Environment(settings_cls)

    @field_validator("disabled_plugins", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class _Environment(EnvSettingsSource):
    """The environment; what is no JSON where JSON is needed is left to the validation, which names the setting."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class _GivenOnly(Settings):
    """Settings without the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def given_settings(**given: Any) -> Settings:
    """These settings and the defaults, whatever environment and file say. Raises `ConfigError` that names the key."""
    _check_names(given, "the call")
    try:
        return _GivenOnly(**given)
    except ValidationError as error:
        raise ConfigError(_first(error, lambda key: "the call")) from None


def usable_settings() -> tuple[Settings, list[str]]:
    """The settings in effect without those that are wrong, for which the defaults stand in; what is wrong, a line each."""
    problems: list[str] = []
    path = config_file()
    beneath: dict[str, Any] = {}
    try:
        beneath = _read(path) if path is not None else {}
    except ConfigError as error:
        problems.append(str(error))
    for key in [key for key in beneath if key not in Settings.model_fields]:
        problems.append(_unknown(key, path))
        del beneath[key]
    beneath = {key: value for key, value in beneath.items() if not _in_environment(key)}
    try:
        return Settings(**beneath), problems
    except ValidationError as error:
        for wrong in error.errors():
            key = str(wrong["loc"][0])
            problems.append(_said(wrong, path if key in beneath else _variable(key)))
            beneath[key] = Settings.model_fields[key].get_default(call_default_factory=True)
        return Settings(**beneath), problems


def load_settings(**given: Any) -> Settings:
    """The settings in effect, `given` before all others. Raises `ConfigError` that names the key and the place."""
    path = config_file()
    from_file = _read(path) if path is not None else {}
    _check_names(given, "the call")
    _check_names(from_file, path)
    beneath = {key: value for key, value in from_file.items() if not _in_environment(key)}
    try:
        return Settings(**{**beneath, **given})
    except ValidationError as error:

        def place(key: str) -> object:
            return "the call" if key in given else path if key in beneath else _variable(key)

        raise ConfigError(_first(error, place)) from None


def origins(settings: Settings) -> dict[str, str]:
    """Where each setting comes from: `environment TREERINGS_X`, the file's path, or `default`."""
    path = config_file()
    from_file = _read(path) if path is not None else {}
    found = {}
    for key in Settings.model_fields:
        if _in_environment(key):
            found[key] = f"environment TREERINGS_{key.upper()}"
        elif key in from_file:
            found[key] = str(path)
        else:
            found[key] = "default"
    return found


def _in_environment(key: str) -> bool:
    return bool(os.environ.get(f"TREERINGS_{key.upper()}"))


def _variable(key: str) -> str:
    return f"the environment (TREERINGS_{key.upper()})"


def _check_names(values: Iterable[str], place: object) -> None:
    for key in values:
        if key not in Settings.model_fields:
            raise ConfigError(_unknown(key, place))


def _unknown(key: str, place: object) -> str:
    near = difflib.get_close_matches(key, Settings.model_fields, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(Settings.model_fields))}."
    return f"Unknown setting {key!r} in {place}. {hint}"


def _first(error: ValidationError, place: Callable[[str], object]) -> str:
    wrong = error.errors()[0]
    return _said(wrong, place(str(wrong["loc"][0])))


def _said(wrong: Mapping[str, Any], place: object) -> str:
    key = ".".join(str(part) for part in wrong["loc"])
    return f"Setting {key!r} in {place}: {wrong['msg']}; got {wrong.get('input')!r:.80}."


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
