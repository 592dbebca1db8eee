"""The bundled prices: loaded at first use, found by provider and name."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from .prices_rates import RuleSet

__all__ = ["ListedModel", "Snapshot", "bundled"]


_MAKERS = frozenset(["anthropic", "cohere", "deepseek", "google", "mistral", "moonshotai", "openai", "voyage", "xai"])


class ListedModel:
    """One model of the snapshot, with its rules parsed at first use."""

    __slots__ = ("_rules", "id", "raw", "source_version")

    def __init__(self, model_id: str, raw: dict[str, Any], source_version: str) -> None:
        """`model_id` is `provider/name`, `raw` the entry of the file."""
        self.id = model_id
        self.raw = raw
        self.source_version = source_version
        self._rules: RuleSet | None = None

    @property
    def rules(self) -> RuleSet:
        """The prices of the model."""
        if self._rules is None:
            self._rules = RuleSet(self.raw["rules"], minimum_seconds=self.raw.get("minimum_seconds", 0))
        return self._rules


class Snapshot:
    """The price file: which model a name means, and its rules."""

    def __init__(self, data: dict[str, Any]) -> None:
        """`data` as written by `scripts/build_price_snapshot.py`."""
        self.as_of: str = data["as_of"]
        """The day on which the sources were compared."""
        self.sources: list[str] = data["sources"]
        self._providers: dict[str, dict[str, Any]] = data["providers"]
        self._models: dict[tuple[str, str], ListedModel] = {}

    @property
    def providers(self) -> list[str]:
        """The ids of the providers."""
        return list(self._providers)

    def names(self, provider: str) -> list[str]:
        """The models listed for a provider, under their main names."""
        return list(self._providers[provider]["models"])

    def find(self, provider: str | None, name: str) -> ListedModel | None:
        """The model that a provider calls `name` (in lower case), or that it resells under its maker's name.

        Without a provider: the maker whose names look like this one, else the only provider (or maker) that lists it.
        """
        if provider is None:
            return self._find_anywhere(name)
        listed = self._providers.get(provider)
        if listed is None:
            return None
        for owner in (provider, *listed["fallback"]):
            model = self._match(self._providers[owner], name)
            if model is not None:
                return self._model(owner, model)
        return None

    def has(self, provider: str) -> bool:
        """Whether the snapshot lists any model of the provider."""
        return provider in self._providers

    def _find_anywhere(self, name: str) -> ListedModel | None:
        for owner, listed in self._providers.items():
            if any(_matches(kind, text, name) for kind, text in listed["match"]):
                model = self._match(listed, name)
                if model is not None:
                    return self._model(owner, model)
        owners = [
            (owner, model)
            for owner, listed in self._providers.items()
            if (model := listed["names"].get(name) or (name if name in listed["models"] else None)) is not None
        ]
        if len(owners) > 1:  # resellers: a name without a provider means its maker's
            owners = [(owner, model) for owner, model in owners if owner in _MAKERS]
        return self._model(*owners[0]) if len(owners) == 1 else None

    def _match(self, listed: dict[str, Any], name: str) -> str | None:
        exact: str | None = listed["names"].get(name)
        if exact is not None:
            return exact
        if name in listed["models"]:
            return name
        for kind, text, model in listed["patterns"]:
            if _matches(kind, text, name):
                found: str = model
                return found
        if name.startswith("ft:"):  # a fine-tuned model named by its undated base: the newest dated one
            dated = [model for model in listed["models"] if model.startswith(name + "-20")]
            return max(dated, default=None)
        return None

    def _model(self, owner: str, model: str) -> ListedModel:
        known = self._models.get((owner, model))
        if known is None:
            raw = self._providers[owner]["models"][model]
            known = ListedModel(f"{owner}/{model}", raw, self.sources[raw["source"]])
            self._models[owner, model] = known
        return known


@cache
def bundled() -> Snapshot:
    """The snapshot of this release."""
    return Snapshot(json.loads((files("treerings") / "data" / "prices.json").read_bytes()))


def _matches(kind: str, text: Any, name: str) -> bool:
    match kind:
        case "starts_with":
            return name.startswith(text)
        case "contains":
            return text in name
        case "equals":
            return bool(name == text)
        case "ends_with":
            return name.endswith(text)
        case "regex":
            return re.search(text, name) is not None
        case _:
            return all(_matches(part, inner, name) for part, inner in text)
