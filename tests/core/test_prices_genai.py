"""Every model that genai-prices knows, priced by both engines over several usages: they agree, or a rule says why."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from treerings.prices import PriceBook
from treerings.prices_snapshot import bundled
from treerings.usage import Usage

ROOT = Path(__file__).resolve().parents[2]
genai_types = pytest.importorskip("genai_prices.types")
genai_data = pytest.importorskip("genai_prices.data")

pytestmark = pytest.mark.skipif(
    f"genai-prices {version('genai-prices')}" not in bundled().sources,
    reason="another genai-prices than the snapshot's",
)

MOMENTS = [
    datetime(2024, 6, 1, 12, tzinfo=UTC),
    datetime(2025, 3, 1, 20, tzinfo=UTC),
    datetime(2026, 11, 15, 2, tzinfo=UTC),
]
USAGES: dict[str, dict[str, int]] = {
    "plain": {"input_tokens": 1000, "output_tokens": 500},
    "cached": {"input_tokens": 10_000, "output_tokens": 500, "cache_read_tokens": 4000, "cache_write_tokens": 1000},
    "long": {"input_tokens": 300_000, "output_tokens": 500, "cache_read_tokens": 4000},
    "reasoning": {"input_tokens": 1000, "output_tokens": 900, "reasoning_tokens": 700},
    "audio": {"input_tokens": 2000, "output_tokens": 1000, "input_audio_tokens": 1500, "output_audio_tokens": 800},
    "image": {"input_tokens": 2000, "output_tokens": 1000, "input_image_tokens": 1500, "output_image_tokens": 800},
}
THEIR_NAMES = {"reasoning_tokens": "output_reasoning_tokens"}
OUR_PROVIDERS = {"aws": "bedrock", "x-ai": "xai", "voyageai": "voyage"}

EXPLAINED = {
    "filled": "a unit that genai-prices prices at its parent's rate has a rate of its own, from litellm",
    "not by the token": "genai-prices lists no price for tokens (billed by the second, page or character) and says 0",
    "zero without being marked free": "a listed 0 is no price",
    "reseller": "genai-prices takes the maker's price, litellm lists the reseller's own",
}


def compared() -> Iterator[tuple[str, str, Decimal, Any]]:
    """(model, usage name, their cost, our price) of every case that genai-prices can price."""
    book = PriceBook(environ={})
    for provider in genai_data.providers:
        ours = OUR_PROVIDERS.get(provider.id, provider.id)
        for model in provider.models:
            for name, usage in USAGES.items():
                their_usage = genai_types.Usage(**{THEIR_NAMES.get(key, key): value for key, value in usage.items()})
                for moment in MOMENTS:
                    try:
                        theirs = model.calc_price(their_usage, provider, genai_request_timestamp=moment).total_price
                    except ValueError:  # a join of units that its data leaves out
                        continue
                    price = book.price(Usage(**usage), model=model.id, provider=ours, at=moment)
                    yield f"{ours.replace('_', '-')}/{model.id}", name, theirs, price


def explanation(model: str, theirs: Decimal, price: Any) -> str | None:
    provider, _, name = model.partition("/")
    listed = bundled().find(provider, name.lower())
    if price is None:
        if listed is None:
            return "zero without being marked free" if theirs == 0 else None
        return "not by the token" if theirs == 0 else None
    if listed is not None and listed.raw.get("filled"):
        return "filled"
    if listed is not None and listed.raw["source"] == 1:
        return "zero without being marked free" if theirs == 0 else "reseller"
    return None


def test_both_engines_agree_or_a_rule_explains_it() -> None:
    unexplained, agreeing, used = [], 0, set()
    for model, usage, theirs, price in compared():
        if price is not None and price.cost_usd == theirs:
            agreeing += 1
            continue
        reason = explanation(model, theirs, price)
        used.add(reason)
        if reason is None:
            unexplained.append((model, usage, theirs, price))

    assert unexplained == []
    assert used <= set(EXPLAINED)
    assert agreeing > 30_000


@pytest.mark.parametrize("tier", ["flex", "priority", "batch"])
def test_both_engines_agree_on_service_tiers(tier: str) -> None:
    book, context = PriceBook(environ={}), {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
    usage = {"input_tokens": 300_000, "output_tokens": 1000, "cache_read_tokens": 1000}
    different = []
    for provider in genai_data.providers:
        if provider.id not in ("openai", "anthropic", "google", "mistral", "groq", "x-ai"):
            continue
        for model in provider.models:
            variants = [variant for variant in model.price_variants or () if variant.when == context]
            if not variants:
                continue
            calculated = model.calc_price(
                genai_types.Usage(**usage), provider, genai_request_timestamp=MOMENTS[-1], price_context=context
            )
            ours = OUR_PROVIDERS.get(provider.id, provider.id)
            found = book.price(Usage(**usage, service_tier=tier), model=model.id, provider=ours, at=MOMENTS[-1])
            listed = bundled().find(ours, model.id.lower())
            filled = listed is not None and listed.raw.get("filled")
            ours_usd = Decimal(0) if found is None else found.cost_usd  # None: billed by the second or page
            if not filled and ours_usd != calculated.total_price:
                different.append((model.id, calculated.total_price, found))

    assert different == []


def test_the_snapshot_holds_every_price_of_the_installed_genai_prices() -> None:
    script = ROOT / "scripts" / "build_price_snapshot.py"
    spec = importlib.util.spec_from_file_location("build_price_snapshot", script)
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    providers, _ = builder.genai_part()
    written = json.loads((ROOT / "core" / "treerings" / "data" / "prices.json").read_text())["providers"]
    missing = []
    for provider, listed in providers.items():
        for model, entry in listed["models"].items():
            kept = written[provider]["models"].get(model, {"rules": []})
            if len(kept["rules"]) < len(entry["rules"]):
                missing.append(f"{provider}/{model}")
            for theirs, ours in zip(entry["rules"], kept["rules"], strict=False):
                if not theirs["prices"].items() <= ours["prices"].items():
                    missing.append(f"{provider}/{model}")

    assert missing == []
