"""The user's own prices: tables of treerings.toml and environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from .errors import ConfigError
from .model_names import Candidate, provider_id, squeezed
from .prices_rates import PER, RuleSet

__all__ = ["UserModel", "UserPrices"]

_VARIABLE = re.compile(r"^([A-Z0-9_]+?)_PRICE_PER_(1K|1M)_([A-Z0-9_]+)$")
_VARIABLE_UNITS = {"CACHED_INPUT": "cache_read", "CACHED": "cache_read", "PROMPT": "input", "COMPLETION": "output"}
_TOKEN_UNITS = [unit for unit, per in PER.items() if per == 1_000_000]
_PROVIDER_WORDS = [
    "azure_openai",
    "azure",
    "bedrock",
    "aws",
    "anthropic",
    "cerebras",
    "cohere",
    "databricks",
    "deepinfra",
    "deepseek",
    "fireworks_ai",
    "fireworks",
    "google_genai",
    "google_vertexai",
    "google",
    "gemini",
    "vertexai",
    "vertex",
    "groq",
    "huggingface",
    "meta",
    "mistralai",
    "mistral",
    "moonshotai",
    "moonshot",
    "ollama",
    "openai",
    "openrouter",
    "perplexity",
    "together_ai",
    "together",
    "vllm",
    "voyage",
    "writer",
    "xai",
    "zai",
]
_OTHER_KEYS = ("from", "provider", "tier")


class UserModel:
    """The user's prices of one model."""

    __slots__ = ("id", "rules", "source_version")

    def __init__(self, model_id: str, rules: list[dict[str, Any]], source_version: str) -> None:
        """`rules` as in the snapshot; `source_version` says where they were written."""
        self.id = model_id
        self.rules = RuleSet(rules)
        self.source_version = source_version


class UserPrices:
    """Prices that the user typed, found by names squeezed to letters and digits."""

    def __init__(self, tables: Mapping[str, Any] | None, environ: Mapping[str, str] | None) -> None:
        """Read `[prices."<model>"]` tables and `<PROVIDER>_<MODEL>_PRICE_PER_1K_INPUT` variables; these win.

        Raises `ConfigError` that names the key and says what to type.
        """
        self._models: dict[tuple[str | None, str], UserModel] = {}
        for model, table in (tables or {}).items():
            self._add_table(str(model), table)
        rules: dict[tuple[str | None, str], dict[str, Any]] = {}
        for name, value in (environ or {}).items():
            if "_PRICE_PER_1" in name and value.strip():
                self._read_variable(name, value, rules)
        for (provider, model), prices in rules.items():
            label = f"{provider}/{model}" if provider else model
            self._models[provider, model] = UserModel(label, [{"prices": prices}], "environment")

    def __bool__(self) -> bool:
        """Whether there is any price."""
        return bool(self._models)

    def find(self, names: Iterable[Candidate]) -> UserModel | None:
        """The first listed name: a price for the provider goes before one for any provider."""
        for provider, name in names:
            key = squeezed(name)
            found = self._models.get((provider, key)) or self._models.get((None, key))
            if found is not None:
                return found
        return None

    def _add_table(self, model: str, table: Any) -> None:
        where = f'[prices."{model}"]'
        entries = table if isinstance(table, list) else [table]
        by_provider: dict[str | None, list[dict[str, Any]]] = {}
        for entry in entries:
            if not isinstance(entry, Mapping):
                raise ConfigError(f"{where} is no table. Type: {where} input = 0.25, output = 1.0")
            provider = entry.get("provider")
            if provider is not None and not isinstance(provider, str):
                raise ConfigError(f'{where} provider is no text. Type: provider = "openai"')
            by_provider.setdefault(provider_id(provider), []).append(self._rule(where, entry))
        for owner, rules in by_provider.items():
            rules.sort(key=lambda rule: rule.get("from", ""))
            label = f"{owner}/{model}" if owner else model
            self._models[owner, squeezed(model)] = UserModel(label, rules, "settings")

    def _rule(self, where: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        prices = {}
        for key, value in entry.items():
            if key in PER:
                prices[key] = _amount(f"{where} {key}", value, f"{key} = 0.25 (USD for {_unit_words(key)})")
            elif key not in _OTHER_KEYS:
                known = ", ".join([*PER, *_OTHER_KEYS])
                raise ConfigError(f"{where} has no key {key!r}. It takes: {known}.")
        if not prices:
            raise ConfigError(f"{where} has no price. Type: input = 0.25, output = 1.0 (USD for a million tokens)")
        rule: dict[str, Any] = {"prices": prices}
        start = entry.get("from")
        if start is not None:
            try:
                rule["from"] = (start if isinstance(start, date) else date.fromisoformat(str(start))).isoformat()[:10]
            except ValueError:
                raise ConfigError(f'{where} from = {start!r} is no date. Type: from = "2026-01-31"') from None
        tier = entry.get("tier")
        if tier is not None:
            rule["tier"] = str(tier).lower()
        return rule

    def _read_variable(self, name: str, value: str, rules: dict[tuple[str | None, str], dict[str, Any]]) -> None:
        match = _VARIABLE.match(name.upper())
        if match is None:
            return
        who, size, unit_word = match.groups()
        unit = _VARIABLE_UNITS.get(unit_word, unit_word.lower())
        if unit not in _TOKEN_UNITS:
            known = ", ".join(sorted([*_VARIABLE_UNITS, *(known.upper() for known in _TOKEN_UNITS)]))
            raise ConfigError(f"{name} ends with {unit_word}, which is no unit. It ends with one of: {known}.")
        amount = Decimal(_amount(name, value, f"{name}=0.005 (USD)"))
        price = amount * 1000 if size == "1K" else amount
        provider, model = _split(who)
        rules.setdefault((provider, model), {})[unit] = format(price, "f")


def _split(who: str) -> tuple[str | None, str]:
    """`AZURE_OPENAI_GPT_4O` as provider and squeezed model; without a known provider it is all model."""
    for word in _PROVIDER_WORDS:
        if who.lower().startswith(word + "_"):
            return provider_id(word), squeezed(who[len(word) + 1 :])
    return None, squeezed(who)


def _amount(where: str, value: Any, example: str) -> str:
    """A price as a decimal string; floats are read as they are typed."""
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise ConfigError(f"{where} = {value!r} is no price. Type: {example}")
    return format(amount, "f")


def _unit_words(unit: str) -> str:
    return {1_000_000: "a million", 1000: "a thousand", 3600: "an hour", 1: "one"}[PER[unit]]
