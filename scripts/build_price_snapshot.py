"""Build core/treerings/data/prices.json and docs/price-disagreements.md from public price tables.

genai-prices is the primary source: it has history, tiers and variants. litellm's JSON, read as data and never imported,
fills what genai-prices lacks: whole models, and single units of models whose base prices both sources agree on.

    pip download --no-deps litellm && unzip litellm-*.whl litellm/model_prices_and_context_window_backup.json
    python scripts/build_price_snapshot.py --litellm litellm/model_prices_and_context_window_backup.json \
        --litellm-version 1.109.1 --as-of 2026-11-15

The output depends on the arguments and the installed genai-prices only.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOT = ROOT / "core" / "treerings" / "data" / "prices.json"
REPORT = ROOT / "docs" / "price-disagreements.md"

RENAMED = {"aws": "bedrock", "x-ai": "xai", "voyageai": "voyage"}
"""genai-prices' provider ids where ours differ."""

UNITS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "cache_image_read_mtok": "cache_read_image",
    "input_video_mtok": "input_video",
    "output_video_mtok": "output_video",
    "output_reasoning_mtok": "reasoning",
    "output_citation_mtok": "citation",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "rerank_searches_kcount": "search_units",
    "audio_hours": "seconds",
    "input_audio_hours": "seconds",
    "input_document_kpages": "pages",
    "input_mchars": "characters",
    "requests_kcount": "requests",
}
"""genai-prices' price keys and our units. Left out: what no usage reports (annotated pages, text messages)."""

TIERS = ("service_tier", "processing", "speed")
"""The contexts of price variants that a response shows. Left out: search_type (Perplexity) and route (OpenRouter)."""

FREE = {
    "openai/moderation": "moderation is free",
    "google/gemma-3": "Gemma is free on the Gemini API",
    "google/gemma-3n": "Gemma is free on the Gemini API",
    "google/gemma-4-26b-a4b-it": "Gemma is free on the Gemini API",
    "google/gemma-4-31b-it": "Gemma is free on the Gemini API",
    "github-copilot/gpt-3.5-turbo": "part of the subscription",
    "github-copilot/gpt-4.1": "part of the subscription",
    "github-copilot/gpt-4o": "part of the subscription",
    "github-copilot/gpt-4o-mini": "part of the subscription",
}
"""Models that cost nothing although their name does not end in `:free`. Every other price of 0 counts as unknown."""

MINIMUM_SECONDS = {"groq/whisper-large-v3": 10, "groq/whisper-large-v3-turbo": 10}
"""https://groq.com/pricing: a request is billed as at least ten seconds."""

LITELLM_PROVIDERS = {
    "amazon_nova": "bedrock",
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock_converse": "bedrock",
    "bedrock_mantle": "bedrock",
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "meta_llama": "meta",
    "moonshot": "moonshotai",
    "text-completion-codestral": "mistral",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "bigmodel": "zhipuai",
}
SKIPPED_PROVIDERS = {
    "ollama",
    "lemonade",
    "sagemaker",
    "searxng",
    "chatgpt",
    "one of https://docs.litellm.ai/docs/providers",
}
"""Local or self-hosted: what they list is 0 or a placeholder."""

LITELLM_UNITS = {
    "input_cost_per_token": ("input", 1_000_000),
    "output_cost_per_token": ("output", 1_000_000),
    "cache_read_input_token_cost": ("cache_read", 1_000_000),
    "input_cost_per_token_cache_hit": ("cache_read", 1_000_000),
    "cache_creation_input_token_cost": ("cache_write", 1_000_000),
    "cache_creation_input_token_cost_above_1hr": ("cache_write_1h", 1_000_000),
    "input_cost_per_audio_token": ("input_audio", 1_000_000),
    "output_cost_per_audio_token": ("output_audio", 1_000_000),
    "cache_read_input_audio_token_cost": ("cache_read_audio", 1_000_000),
    "input_cost_per_image_token": ("input_image", 1_000_000),
    "output_cost_per_image_token": ("output_image", 1_000_000),
    "cache_read_input_image_token_cost": ("cache_read_image", 1_000_000),
    "input_cost_per_video_token": ("input_video", 1_000_000),
    "output_cost_per_video_token": ("output_video", 1_000_000),
    "output_cost_per_reasoning_token": ("reasoning", 1_000_000),
    "citation_cost_per_token": ("citation", 1_000_000),
    "input_cost_per_character": ("characters", 1_000_000),
    "input_cost_per_second": ("seconds", 3600),
    "output_cost_per_second": ("seconds", 3600),
    "input_cost_per_query": ("search_units", 1000),
    "input_cost_per_request": ("requests", 1000),
    "ocr_cost_per_page": ("pages", 1000),
    "output_cost_per_image": ("images", 1),
}
KEY = re.compile(r"^(?P<base>.+?)(?:_above_(?P<start>\d+)k_tokens)?(?:_(?P<tier>flex|priority|batches))?$")

REGION = re.compile(r"^[a-z]{2}(?:-gov)?-[a-z]+-\d/")
"""Bedrock's regions, which litellm puts before the name."""

Rules = list[dict[str, Any]]


# --- genai-prices -----------------------------------------------------------------------------------------------------


def genai_providers() -> dict[str, Any]:
    """Our provider ids, in genai-prices' order, with its provider objects."""
    from genai_prices.data import providers

    return {our_id(provider.id): provider for provider in providers}


def our_id(provider: str) -> str:
    return RENAMED.get(provider, provider.replace("_", "-"))


def decimal_text(value: Decimal) -> str:
    return format(value.normalize(), "f")


def genai_price(value: Any) -> str | list[Any]:
    if isinstance(value, Decimal):
        return decimal_text(value)
    steps: list[Any] = [decimal_text(value.base)]
    for step in value.tiers:
        steps += [step.start, decimal_text(step.price)]
    return steps


def genai_prices_of(prices: Any) -> dict[str, Any]:
    return {UNITS[key]: genai_price(value) for key, value in vars(prices).items() if value is not None and key in UNITS}


def condition(constraint: Any) -> dict[str, Any]:
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"from": constraint.start_date.isoformat()}
    return {"time": [constraint.start_time.strftime("%H:%M"), constraint.end_time.strftime("%H:%M")]}


def genai_rules(model: Any) -> Rules:
    """A model's price sets: of the active ones without a tier the last counts, those with the call's tier go on top."""
    if isinstance(model.prices, list):
        rules = [condition(entry.constraint) | {"prices": genai_prices_of(entry.prices)} for entry in model.prices]
    else:
        rules = [{"prices": genai_prices_of(model.prices)}]
    for variant in reversed(model.price_variants or ()):  # there the first active one wins, here the last
        prices = genai_prices_of(variant.prices)
        (name, value), *others = variant.when.items()
        if prices and not others and name in TIERS and value != "default":
            rules.append(condition(variant.constraint) | {"tier": value, "prices": prices})
    return rules


def clauses(match: Any) -> list[list[Any]]:
    """A matcher as a flat list of alternatives."""
    if hasattr(match, "or_"):
        return [clause for part in match.or_ for clause in clauses(part)]
    if hasattr(match, "and_"):
        return [["and", [clause for part in match.and_ for clause in clauses(part)]]]
    ((kind, text),) = vars(match).items()
    return [[kind, text if kind == "regex" else text.lower()]]


def all_zero(rules: Rules) -> bool:
    values = [value for rule in rules for value in rule["prices"].values()]
    return not values or all(Decimal(value[0] if isinstance(value, list) else value) == 0 for value in values)


def genai_part() -> tuple[dict[str, Any], list[str]]:
    """The snapshot's providers from genai-prices alone, and the models left out because their 0 says nothing."""
    result: dict[str, Any] = {}
    dropped: list[str] = []
    for name, provider in genai_providers().items():
        models: dict[str, Any] = {}
        names: dict[str, str] = {}
        patterns: list[list[Any]] = []
        for model in provider.models:
            rules = genai_rules(model)
            key = f"{name}/{model.id}"
            if all_zero(rules):
                free = model.id.endswith(":free") or key in FREE
                rules = [{"prices": {"input": "0", "output": "0"}}] if free else []
                if not free:
                    dropped.append(key)
            entry: dict[str, Any] = {"source": 0, "rules": rules}
            if key in MINIMUM_SECONDS:
                entry["minimum_seconds"] = MINIMUM_SECONDS[key]
            models[model.id] = entry
            for kind, text in clauses(model.match):
                if kind == "equals":
                    first = provider.find_model(text)
                    names.setdefault(text, first.id if first else model.id)
                else:
                    patterns.append([kind, text, model.id])
        result[name] = {
            "fallback": [our_id(other) for other in provider.fallback_model_providers or ()],
            "match": clauses(provider.model_match) if provider.model_match else [],
            "models": models,
            "names": names,
            "patterns": patterns,
        }
    return result, dropped


# --- litellm ----------------------------------------------------------------------------------------------------------


def litellm_provider(name: str) -> str:
    if name.startswith("vertex_ai"):
        return "google"
    return LITELLM_PROVIDERS.get(name, name.replace("_", "-"))


def litellm_name(key: str, provider: str) -> str:
    """The name that the provider itself uses: the routing prefixes off."""
    name = key.lower()
    for prefix in (provider, provider.split("-")[0], "bedrock", "converse"):
        name = name.removeprefix(prefix.lower() + "/")
    return name


def litellm_rules(entry: dict[str, Any]) -> Rules:
    """litellm's flat keys as price sets: `<unit>[_above_<n>k_tokens][_<tier>]`."""
    sets: dict[str | None, dict[str, dict[int, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    for key, value in entry.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            continue
        match = KEY.match(key)
        if match is None or match["base"] not in LITELLM_UNITS:
            continue
        unit, per = LITELLM_UNITS[match["base"]]
        if unit == "seconds" and value == 0:
            continue
        tier: str | None = "batch" if match["tier"] == "batches" else match["tier"]
        start = int(match["start"]) * 1000 if match["start"] else 0
        sets[tier][unit].setdefault(start, Decimal(repr(value)) * per)
    searches = entry.get("search_context_cost_per_query")
    if isinstance(searches, dict) and len(set(searches.values())) == 1:
        sets[None]["web_search"][0] = Decimal(repr(next(iter(searches.values())))) * 1000
    rules: Rules = []
    for name in sorted(sets, key=lambda name: name or ""):
        prices: dict[str, Any] = {}
        for unit, steps in sorted(sets[name].items()):
            if 0 not in steps:
                continue
            rounded = {start: decimal_text(round(price, 9)) for start, price in steps.items()}
            flat: list[Any] = [rounded[0]]
            for start in sorted(rounded)[1:]:
                flat += [start, rounded[start]]
            prices[unit] = flat if len(flat) > 1 else flat[0]
        if prices:
            rules.append(({"tier": name} if name else {}) | {"prices": prices})
    return rules if rules and "tier" not in rules[0] else []


# --- merging ----------------------------------------------------------------------------------------------------------


def current(rules: Rules, as_of: date) -> dict[str, Any]:
    """The standard prices of a day at noon UTC."""
    found: dict[str, Any] = rules[0]["prices"] if rules else {}
    for rule in rules:
        if "tier" in rule or rule.get("from", "") > as_of.isoformat():
            continue
        if "time" in rule and not rule["time"][0] <= "12:00" < rule["time"][1]:
            continue
        found = rule["prices"]
    return found


def base(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value[0] if isinstance(value, list) else value)


def find(provider: dict[str, Any], name: str) -> str | None:
    """The id of the model that a name means, as the engine would find it."""
    if name in provider["names"]:
        return str(provider["names"][name])
    if REGION.match(name):  # a price for a region: no pattern means it
        return name if name in provider["models"] else None
    for kind, text, model in provider["patterns"]:
        if matches(kind, text, name):
            return str(model)
    return name if name in provider["models"] else None


def matches(kind: str, text: Any, name: str) -> bool:
    if kind == "and":
        return all(matches(part, inner, name) for part, inner in text)
    if kind == "regex":
        return re.search(text, name) is not None
    if kind == "starts_with":
        return name.startswith(text)
    if kind == "ends_with":
        return name.endswith(text)
    return bool(name == text) if kind == "equals" else text in name


def fill(ours: dict[str, Any], theirs: Rules, as_of: date) -> list[str]:
    """Add units and tiers that only litellm lists, if both agree on the base prices; return what was added."""
    rules: Rules = ours["rules"]
    if (
        not rules
        or not theirs
        or any(name in rule for rule in rules for name in ("from", "time") if "tier" not in rule)
    ):
        return []
    known, offered = rules[0]["prices"], theirs[0]["prices"]
    if any(known.get(unit) != offered.get(unit) for unit in ("input", "output")) or base(known.get("input")) is None:
        return []
    added = []
    for unit, price in offered.items():
        if unit not in known and base(price) and unit != "images":
            known[unit] = price
            added.append(unit)
    tiers = {rule.get("tier") for rule in rules}
    for rule in theirs[1:]:
        if rule["tier"] not in tiers:
            rules.append(rule)
            added.append(f"tier {rule['tier']}")
    if added:
        ours["filled"] = added
    return added


def build(litellm: dict[str, Any], versions: dict[str, str], as_of: date) -> tuple[dict[str, Any], dict[str, Any]]:
    """The snapshot and what the report tells about its making."""
    providers, dropped = genai_part()
    genai_count = sum(len(provider["models"]) for provider in providers.values()) - len(dropped)
    notes: dict[str, Any] = {
        "dropped": dropped,
        "disagreements": [],
        "zeros": [],
        "filled": [],
        "resold": [],
        "added": Counter(),
        "agree": 0,
    }
    for key, entry in sorted(litellm.items(), key=lambda item: (item[1].get("litellm_provider") != "gemini", item[0])):
        raw_provider = entry.get("litellm_provider")
        if not raw_provider or raw_provider in SKIPPED_PROVIDERS or "commitment" in key or "*" in key:
            continue
        name, rules = litellm_provider(raw_provider), litellm_rules(entry)
        model = litellm_name(key, raw_provider)
        free = model.endswith((":free", "-free"))
        provider = providers.setdefault(name, {"fallback": [], "match": [], "models": {}, "names": {}, "patterns": []})
        known = find(provider, model)
        if all_zero(rules) and not (free and rules):
            if known is not None and rules and provider["models"][known]["rules"]:
                notes["zeros"].append(f"{name}/{model}")
            continue
        ours = provider["models"].get(known) if known is not None else None
        if ours is None:
            maker = resold(providers, provider, model)
            if maker is not None and same_base(maker["rules"], rules, as_of):
                notes["agree"] += 1
                continue
            if maker is not None:
                notes["resold"].append(f"{name}/{model}")
            plain = provider["models"].get(find(provider, REGION.sub("", model)) or "")
            if REGION.match(model) and plain and plain["rules"] and same_base(plain["rules"], rules, as_of):
                continue
            provider["models"][model] = {"source": 1, "rules": rules}
            notes["added"][name] += 1
        elif not ours["rules"]:
            provider["models"][model] = {"source": 1, "rules": rules}
            provider["names"][model] = model
            notes["added"][name] += 1
        elif ours["source"] == 0:
            compare(notes, f"{name}/{model}", ours["rules"], rules, as_of)
            added = fill(ours, rules, as_of)
            if added:
                notes["filled"].append((f"{name}/{known}", added))
    for provider in providers.values():
        empty = [model for model, entry in provider["models"].items() if not entry["rules"]]
        for model in empty:
            del provider["models"][model]
        provider["names"] = {n: m for n, m in sorted(provider["names"].items()) if m in provider["models"] and n != m}
        provider["patterns"] = [pattern for pattern in provider["patterns"] if pattern[2] in provider["models"]]
    notes["genai"] = genai_count
    sources = [f"genai-prices {versions['genai-prices']}", f"litellm {versions['litellm']}"]
    return {"as_of": as_of.isoformat(), "sources": sources, "providers": providers}, notes


def resold(providers: dict[str, Any], provider: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The maker's entry, if genai-prices lets the provider sell the model at the maker's price."""
    for owner in provider["fallback"]:
        known = find(providers[owner], name)
        if known is not None and providers[owner]["models"][known]["source"] == 0:
            entry: dict[str, Any] = providers[owner]["models"][known]
            return entry
    return None


def same_base(ours: Rules, theirs: Rules, as_of: date) -> bool:
    mine, other = current(ours, as_of), theirs[0]["prices"]
    return all(base(mine.get(unit)) == base(other.get(unit)) for unit in ("input", "output"))


def compare(notes: dict[str, Any], name: str, ours: Rules, theirs: Rules, as_of: date) -> None:
    mine, other = current(ours, as_of), theirs[0]["prices"]
    differing: dict[str, Any] = {
        unit: (base(mine[unit]), base(other[unit]))
        for unit in ("input", "output", "cache_read", "cache_write")
        if unit in mine and unit in other and base(mine[unit]) != base(other[unit])
    }
    if not differing:
        notes["agree"] += 1
    else:
        notes["disagreements"].append((category(differing, ours), name, differing))


def category(differing: dict[str, Any], ours: Rules) -> str:
    if not {"input", "output"} & set(differing):
        return "cache"
    if all(theirs == 0 for _, theirs in differing.values()):
        return "zero"
    ratios = {(mine / theirs).quantize(Decimal("0.001")) for mine, theirs in differing.values() if theirs}
    if ratios <= {Decimal("1.100"), Decimal("0.909")}:
        return "region"
    for rule in ours:
        if all(base(rule["prices"].get(unit)) == theirs for unit, (_, theirs) in differing.items()):
            return "date" if "tier" not in rule else "tier"
    return "lower" if all(mine > theirs for mine, theirs in differing.values()) else "other"


CATEGORIES = {
    "zero": ("litellm says 0", "A price of 0 that is not marked as free is taken for unknown. Ours: genai-prices."),
    "region": (
        "One is a tenth above the other",
        "Regional endpoints of Bedrock and of OpenAI's data residency cost 10 % more than the global ones; the sources "
        "disagree on which of them the plain name means. Ours: genai-prices.",
    ),
    "date": (
        "litellm has a price of another date or hour",
        "genai-prices lists the same price, but for other days (or another time of day). Ours: genai-prices, by date.",
    ),
    "tier": (
        "litellm has the price of a tier",
        "The plain price of litellm is a flex, priority or batch price. Ours: genai-prices.",
    ),
    "cache": ("Only cache prices differ", "Input and output agree. Ours: genai-prices."),
    "lower": (
        "litellm is lower",
        "Mostly aliases that moved to a newer model (`-latest`, undated names) and price cuts that one source has and the "
        "other has not. Ours: genai-prices; put the right price into `[prices]` where you know better.",
    ),
    "other": (
        "Other differences",
        "No rule explains these. Ours: genai-prices. Check the provider's page before relying on one.",
    ),
}


def report(snapshot: dict[str, Any], notes: dict[str, Any]) -> str:
    """The disagreements for a person to read."""
    disagreements = notes["disagreements"]
    total = sum(len(provider["models"]) for provider in snapshot["providers"].values())
    lines = [
        "# Where the price sources disagree",
        "",
        "Generated by `scripts/build_price_snapshot.py`; do not edit. How a price is chosen: [accounting](accounting.md).",
        "",
        f"Sources: {' and '.join(snapshot['sources'])}, compared on {snapshot['as_of']}, in USD for a million tokens.",
        "",
        "| | models |",
        "|---|---|",
        f"| in the snapshot | {total} |",
        f"| from genai-prices | {notes['genai']} |",
        f"| added from litellm | {sum(notes['added'].values())} |",
        f"| names that both price, and equally | {notes['agree']} |",
        f"| names that both price, and differently | {len(disagreements)} |",
        f"| names that litellm lists at 0 | {len(notes['zeros'])} |",
        f"| models with units or tiers added from litellm | {len({name for name, _ in notes['filled']})} |",
        f"| left out of genai-prices: 0 without being marked free | {len(notes['dropped'])} |",
    ]
    for key, (title, explanation) in CATEGORIES.items():
        entries = [(name, differing) for kind, name, differing in disagreements if kind == key]
        if entries:
            lines += ["", f"## {title} ({len(entries)})", "", explanation, ""]
            lines += ["| model | unit | genai-prices | litellm |", "|---|---|---|---|"]
            for name, differing in entries:
                cells = [(unit, decimal_text(mine), decimal_text(theirs)) for unit, (mine, theirs) in differing.items()]
                for index, (unit, mine, theirs) in enumerate(cells):
                    lines.append(f"| {f'`{name}`' if index == 0 else ''} | {unit} | {mine} | {theirs} |")
    lines += ["", f"## litellm lists 0 ({len(notes['zeros'])})", "", CATEGORIES["zero"][1], ""]
    lines += [f"- `{name}`" for name in notes["zeros"]]
    lines += ["", f"## Resellers with a price of their own ({len(notes['resold'])})", ""]
    lines += [
        "genai-prices takes the maker's price for these; litellm lists the reseller's own, which differs. Ours: litellm.",
        "",
    ]
    lines += [f"- `{name}`" for name in notes["resold"]]
    lines += ["", "## Left out: 0 without being marked free", ""]
    lines += ["genai-prices lists these at 0, which is no price. They are unknown unless litellm prices them.", ""]
    lines += [f"- `{name}`" for name in notes["dropped"]]
    lines += ["", "## Units and tiers added from litellm", ""]
    lines += [
        "Both sources agree on input and output; only litellm has the rest.",
        "",
        "| model | added |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {', '.join(added)} |" for name, added in notes["filled"]]
    lines += ["", "## Models added from litellm, by provider", "", "| provider | models |", "|---|---|"]
    lines += [f"| {name} | {number} |" for name, number in sorted(notes["added"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--litellm", type=Path, required=True, help="litellm's model_prices_and_context_window_backup.json"
    )
    parser.add_argument("--litellm-version", required=True)
    parser.add_argument("--as-of", type=date.fromisoformat, default=datetime.now(UTC).date())
    arguments = parser.parse_args()
    versions = {"genai-prices": version("genai-prices"), "litellm": arguments.litellm_version}
    litellm = json.loads(arguments.litellm.read_text())
    snapshot, notes = build(litellm, versions, arguments.as_of)
    SNAPSHOT.parent.mkdir(parents=True, exist_ok=True)
    SNAPSHOT.write_text(json.dumps(snapshot, separators=(",", ":"), ensure_ascii=False) + "\n")
    REPORT.write_text(report(snapshot, notes))
    print(f"{SNAPSHOT.relative_to(ROOT)}: {SNAPSHOT.stat().st_size / 1e6:.2f} MB; {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
