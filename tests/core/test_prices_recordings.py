"""Recorded answers, read and priced by genai-prices from the raw body, and by us: the costs agree, or a rule says why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from treerings.prices import PriceBook
from treerings.prices_snapshot import bundled
from treerings.usage import Usage

genai_prices = pytest.importorskip("genai_prices")
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
MOMENT = datetime(2026, 11, 15, 12, tzinfo=UTC)

pytestmark = [
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside the repository"),
    pytest.mark.skipif(
        f"genai-prices {version('genai-prices')}" not in bundled().sources, reason="another genai-prices"
    ),
]

HOSTS = {
    # host: (our provider, theirs, their word for the format by the last part of the path)
    "api.openai.com": (
        "openai",
        "openai",
        {"completions": "chat", "responses": "responses", "embeddings": "embeddings"},
    ),
    "api.anthropic.com": ("anthropic", "anthropic", {"messages": "default"}),
    "api.groq.com": ("groq", "groq", {"completions": "default"}),
    "api.mistral.ai": ("mistral", "mistral", {"completions": "default"}),
    "api.cohere.com": ("cohere", "cohere", {"chat": "default"}),
    "generativelanguage.googleapis.com": ("google", "google", {"*": "default"}),
    "bedrock-runtime.us-west-2.amazonaws.com": ("bedrock", "aws", {"converse": "default"}),
    "bedrock-runtime.us-east-1.amazonaws.com": ("bedrock", "aws", {"converse": "default"}),
}


def answers() -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
    """(our provider, their provider, their format, model, body) of the answers that both can read."""
    for path in sorted(RECORDINGS.glob("*/*.json")):
        for call in json.loads(path.read_text()):
            url, body = urlsplit(call["url"]), call["response"]
            if url.netloc not in HOSTS or not isinstance(body, dict) or not Usage.from_provider(body).as_dict():
                continue
            ours, theirs, formats = HOSTS[url.netloc]
            flavor = formats.get(url.path.rpartition("/")[2], formats.get("*"))
            asked = call["request"].get("model") if isinstance(call["request"], dict) else None
            in_path = url.path.partition("/model/")[2].partition("/")[0] if ours == "bedrock" else None
            model = body.get("model") or body.get("modelVersion") or (unquote(in_path) if in_path else asked)
            if flavor is not None and isinstance(model, str):
                yield ours, theirs, flavor, model, body


def test_the_cost_of_every_recorded_answer_agrees() -> None:
    book, outcomes, different = PriceBook(environ={}), Counter[str](), []
    for ours, theirs, flavor, model, body in answers():
        usage = Usage.from_provider(body)
        outcomes["with built-in tools, which genai-prices does not read"] += len(usage.requests)
        usage.requests = {}
        price = book.price(usage, model=model, provider=ours, at=MOMENT)
        try:
            extracted = genai_prices.extract_usage(body, provider_id=theirs, api_flavor=flavor).usage
            reference = genai_prices.calc_price(
                extracted, model, provider_id=theirs, genai_request_timestamp=MOMENT
            ).total_price
        except (LookupError, ValueError) as error:
            outcomes[f"genai-prices cannot: {type(error).__name__}"] += 1
            continue
        if price is not None and price.cost_usd == reference:
            outcomes["same"] += 1
        else:
            different.append((ours, model, reference, price))

    assert different == []
    assert outcomes["same"] > 200
