"""What a call cost: the response's own word, the user's prices, the bundled prices, or unknown."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from .model_names import LOCAL_PROVIDERS, candidates, provider_id
from .prices_rates import cost_of
from .prices_snapshot import ListedModel, bundled
from .prices_user import UserModel, UserPrices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .usage import Usage

__all__ = ["Price", "PriceBook"]

Confidence = Literal["exact", "partial"]
Source = Literal["cache", "response", "snapshot", "user"]

_PREPAID_TIERS = frozenset({"provisioned", "reserved", "scale"})
_MAX_KNOWN_NAMES = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Price:
    """What one call cost, and why we think so."""

    cost_usd: Decimal
    source: Source
    source_version: str
    """`genai-prices 0.2.3`, `litellm 1.109.1`, `settings`, `environment`, or the provider that stated the cost."""
    rule: str
    """Which price was taken, as `provider/model` with its conditions: `openai/gpt-5.4@2026-03-05 flex tier>272k`."""
    confidence: Confidence = "exact"
    """`partial` when a unit of `partial_units` had no price of its own."""
    partial_units: list[str] = field(default_factory=list)
    """Units that were priced at their parent unit's price or, having none either, not at all; `input` or `output` when
    the provider did not report that count; `service_tier` when the tier has no price and the standard one stood in."""

    def as_dict(self) -> dict[str, Any]:
        """The provenance without the amount, as plain data."""
        provenance: dict[str, Any] = {
            "source": self.source,
            "source_version": self.source_version,
            "rule": self.rule,
            "confidence": self.confidence,
        }
        if self.partial_units:
            provenance["partial_units"] = list(self.partial_units)
        return provenance


class PriceBook:
    """Prices calls. Safe to share between threads; names are resolved once and remembered, up to a bound."""

    def __init__(
        self,
        user_prices: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        deployments: Mapping[str, str] | None = None,
    ) -> None:
        """`user_prices` are the `[prices]` tables of treerings.toml, `environ` the process environment by default.

        `deployments` maps names of Azure deployments to models. Raises `ConfigError` for a price that cannot be read.
        """
        self._user = UserPrices(user_prices, os.environ if environ is None else environ)
        self._deployments = dict(deployments or {})
        self._known: dict[tuple[str, str | None, str | None], UserModel | ListedModel | None] = {}

    def price(
        self,
        usage: Usage,
        *,
        model: str | None,
        provider: str | None = None,
        at: datetime | int | None = None,
        region: str | None = None,
    ) -> Price | None:
        """What `usage` cost, or None when that is unknown: nobody lists the model, or nothing of the usage is known.

        `at` is when the call started, as an aware datetime or UTC nanoseconds since the epoch (now by default); `region`
        is the cloud's (`us-gov-west-1`, Azure's `eu`). The order is: a client-side cache hit (0), the cost that the
        response states, the user's prices, the bundled ones.
        """
        if usage.cache_hit:
            return Price(Decimal(0), "cache", "client cache", "cache hit")
        if usage.reported_cost_usd is not None:
            stated = _stated(usage.reported_cost_usd)
            if stated is not None:
                return Price(stated, "response", provider_id(provider) or "response", "stated by the response")
        if not model or usage.service_tier in _PREPAID_TIERS:
            return None
        listed = self._find(model, provider, region)
        if listed is None:
            return self._free(usage, model, provider)
        at_ns = at if type(at) is int else _nanoseconds(at)
        rates = listed.rules.rates(at_ns, usage.service_tier, usage.input_tokens or 0)
        costed = cost_of(usage, listed.rules, rates)
        if costed is None:
            return None
        cost, gaps = costed
        return Price(
            cost,
            "user" if type(listed) is UserModel else "snapshot",
            listed.source_version,
            listed.id + rates.condition,
            "partial" if gaps else "exact",
            gaps,
        )

    def knows(self, model: str, *, provider: str | None = None, region: str | None = None) -> bool:
        """Whether there is any price for the model."""
        return self._find(model, provider, region) is not None

    def _find(self, model: str, provider: str | None, region: str | None) -> UserModel | ListedModel | None:
        key = (model, provider, region)
        try:
            return self._known[key]
        except KeyError:
            found = self._resolve(model, provider, region)
            if len(self._known) >= _MAX_KNOWN_NAMES:
                self._known.clear()
            self._known[key] = found
            return found

    def _resolve(self, model: str, provider: str | None, region: str | None) -> UserModel | ListedModel | None:
        names = candidates(model, provider, region=region, deployments=self._deployments)
        found = self._user.find(names) if self._user else None
        if found is not None:
            return found
        owner = provider_id(provider)
        if owner in LOCAL_PROVIDERS:
            return None
        snapshot = bundled()
        if owner is not None and not snapshot.has(owner):  # a gateway, or a framework's own word: go by the model alone
            names += candidates(model, None, region=region, deployments=self._deployments)
        for maker, name in names:
            if maker in LOCAL_PROVIDERS:
                return None
            listed = snapshot.find(maker, name)
            if listed is not None:
                return listed
        return None

    def _free(self, usage: Usage, model: str, provider: str | None) -> Price | None:
        """OpenRouter's `:free` variants cost nothing, listed or not."""
        free = model.lower().endswith(":free") and provider_id(provider) in (None, "openrouter", "openai")
        if not free or usage.total_tokens is None:
            return None
        return Price(Decimal(0), "snapshot", bundled().sources[0], "openrouter/:free")


def _stated(text: str) -> Decimal | None:
    try:
        cost = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        return None
    return cost if cost.is_finite() and cost >= 0 else None


def _nanoseconds(at: datetime | int | None) -> int:
    if at is None:
        return time.time_ns()
    if isinstance(at, datetime):
        delta = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000
    return int(at)
