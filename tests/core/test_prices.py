"""What a price is, where it comes from, and what makes it exact."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest
from treerings.errors import ConfigError
from treerings.prices import Price, PriceBook
from treerings.prices_rates import RuleSet, cost_of, parts_of
from treerings.usage import Usage

NOON = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def book() -> PriceBook:
    return PriceBook(environ={})


def price(book: PriceBook, model: str, provider: str | None = None, **usage: Any) -> Price:
    found = book.price(Usage(**usage), model=model, provider=provider, at=NOON)
    assert found is not None
    return found


# fmt: off
MOST_USED = [
    "gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano",
    "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5.1", "gpt-5.4", "o1", "o3", "o3-mini", "o4-mini",
    "gpt-4o-audio-preview", "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002",
    "claude-3-haiku-20240307", "claude-3-5-haiku-20241022", "claude-3-5-sonnet-20241022",
    "claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514", "claude-opus-4-20250514", "claude-opus-4-1-20250805",
    "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5", "gemini-1.5-pro", "gemini-1.5-flash",
    "gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-pro-preview",
    "mistral/mistral-large-latest", "mistral/mistral-small-latest", "mistral/codestral-latest",
    "groq/llama-3.3-70b-versatile", "groq/openai/gpt-oss-120b", "deepseek/deepseek-chat",
    "deepseek/deepseek-reasoner", "xai/grok-3", "xai/grok-4", "cohere/command-r-plus", "cohere/command-r",
    "perplexity/sonar-pro", "bedrock/amazon.nova-pro-v1:0", "bedrock/amazon.nova-lite-v1:0",
    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "azure/gpt-4o", "azure/gpt-5",
    "together/meta-llama/Llama-3.3-70B-Instruct-Turbo", "openrouter/anthropic/claude-sonnet-4.5", "voyage/voyage-3",
]
# fmt: on


@pytest.mark.parametrize("model", MOST_USED)
def test_a_much_used_model_has_a_price(book: PriceBook, model: str) -> None:
    assert price(book, model, input_tokens=1000, output_tokens=1).cost_usd > 0


def test_a_price_is_rate_times_tokens(book: PriceBook) -> None:
    found = price(book, "gpt-4o", "openai", input_tokens=1_000_000, output_tokens=100_000)

    assert found.cost_usd == Decimal("3.5")
    assert (found.source, found.rule, found.confidence) == ("snapshot", "openai/gpt-4o", "exact")
    assert found.source_version.startswith("genai-prices ")


def test_cached_tokens_are_taken_out_of_the_input(book: PriceBook) -> None:
    found = price(book, "gpt-4o", "openai", input_tokens=1000, output_tokens=0, cache_read_tokens=400)

    assert found.cost_usd == (600 * Decimal("2.5") + 400 * Decimal("1.25")) / 1_000_000


def test_cache_writes_of_an_hour_have_their_own_price(book: PriceBook) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 0, "cache_write_tokens": 300, "cache_write_1h_tokens": 100}
    found = price(book, "claude-sonnet-4-5", "anthropic", **usage)

    assert found.cost_usd == (700 * Decimal(3) + 200 * Decimal("3.75") + 100 * Decimal(6)) / 1_000_000


def test_reasoning_is_billed_as_output(book: PriceBook) -> None:
    plain = price(book, "o3", "openai", input_tokens=1, output_tokens=500)
    reasoned = price(book, "o3", "openai", input_tokens=1, output_tokens=500, reasoning_tokens=400)

    assert (plain.cost_usd, plain.confidence) == (reasoned.cost_usd, reasoned.confidence)


def test_a_long_prompt_moves_the_whole_call_into_the_upper_tier(book: PriceBook) -> None:
    below = price(book, "gpt-5.4", "openai", input_tokens=272_000, output_tokens=0)
    above = price(book, "gpt-5.4", "openai", input_tokens=272_001, output_tokens=0)

    assert below.cost_usd == Decimal("0.68")
    assert above.cost_usd == 272_001 * Decimal(5) / 1_000_000
    assert above.rule == "openai/gpt-5.4 tier>272k"


@pytest.mark.parametrize(("tier", "cost"), [(None, "2.5"), ("flex", "1.25"), ("priority", "5"), ("batch", "1.25")])
def test_a_service_tier_has_its_own_prices(book: PriceBook, tier: str | None, cost: str) -> None:
    found = price(book, "gpt-5.4", "openai", input_tokens=200_000, output_tokens=0, service_tier=tier)

    assert found.cost_usd == Decimal(cost) / 5


def test_a_tier_without_a_price_is_partial(book: PriceBook) -> None:
    found = price(book, "gpt-4", "openai", input_tokens=10, output_tokens=1, service_tier="flex")

    assert (found.confidence, found.partial_units) == ("partial", ["service_tier"])


@pytest.mark.parametrize("tier", ["provisioned", "scale", "reserved"])
def test_prepaid_capacity_has_no_price_by_the_token(book: PriceBook, tier: str) -> None:
    usage = Usage(input_tokens=10, output_tokens=1, service_tier=tier)

    assert book.price(usage, model="gpt-4o", provider="openai") is None


def test_a_price_depends_on_the_date(book: PriceBook) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    costs = [
        book.price(usage, model="o3", provider="openai", at=datetime(2025, month, 20, tzinfo=UTC)) for month in (5, 7)
    ]

    assert [found.cost_usd for found in costs if found] == [Decimal(10), Decimal(2)]


def test_a_price_depends_on_the_hour_where_the_provider_says_so(book: PriceBook) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    costs = [
        book.price(usage, model="deepseek-chat", provider="deepseek", at=datetime(2025, 5, 1, hour, tzinfo=UTC))
        for hour in (12, 20)
    ]

    assert [found.cost_usd for found in costs if found] == [Decimal("0.27"), Decimal("0.135")]


def test_nanoseconds_and_datetimes_are_the_same_moment(book: PriceBook) -> None:
    usage = Usage(input_tokens=1000, output_tokens=10)
    at_ns = int(NOON.timestamp()) * 1_000_000_000

    assert book.price(usage, model="o3", at=NOON) == book.price(usage, model="o3", at=at_ns)


def test_audio_without_an_own_price_is_partial() -> None:
    book = PriceBook({"talker": {"input": 2, "output": 4}}, environ={})
    found = price(book, "talker", input_tokens=100, output_tokens=100, input_audio_tokens=60)

    assert found.cost_usd == Decimal("0.0006")
    assert (found.confidence, found.partial_units) == ("partial", ["input_audio"])


def test_audio_with_an_own_price_is_exact(book: PriceBook) -> None:
    usage = {"input_tokens": 2000, "output_tokens": 1000, "input_audio_tokens": 1500, "output_audio_tokens": 800}
    found = price(book, "gpt-4o-audio-preview", "openai", **usage)

    assert found.confidence == "exact"
    assert found.cost_usd > Decimal("0.1")


def test_a_count_that_is_not_known_is_partial(book: PriceBook) -> None:
    found = price(book, "gpt-4o", "openai", input_tokens=1000)

    assert found.partial_units == ["output"]


def test_an_embedding_has_no_output_to_miss(book: PriceBook) -> None:
    assert price(book, "text-embedding-3-small", "openai", input_tokens=1000).confidence == "exact"


def test_web_searches_are_billed_by_the_thousand(book: PriceBook) -> None:
    found = price(book, "claude-sonnet-4-5", "anthropic", input_tokens=0, output_tokens=0, requests={"web_search": 3})

    assert found.cost_usd == Decimal("0.03")


def test_seconds_are_billed_by_the_hour_with_a_minimum(book: PriceBook) -> None:
    short = price(book, "whisper-large-v3", "groq", requests={"seconds": 2})
    long = price(book, "whisper-large-v3", "groq", requests={"seconds": 3600})

    assert long.cost_usd.normalize() == Decimal("0.111")
    assert short.cost_usd.quantize(Decimal("1e-9")) == (Decimal("0.111") / 360).quantize(Decimal("1e-9"))


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("model-nobody-knows", "openai"),
        ("llama3", "ollama"),
        ("gpt-4o", "vllm"),
        ("", "openai"),
        (None, "openai"),
    ],
)
def test_an_unknown_model_has_no_price(book: PriceBook, model: str | None, provider: str) -> None:
    assert book.price(Usage(input_tokens=10, output_tokens=1), model=model, provider=provider) is None


def test_unknown_usage_has_no_price(book: PriceBook) -> None:
    assert book.price(Usage(), model="gpt-4o", provider="openai") is None


def test_known_zero_usage_costs_nothing(book: PriceBook) -> None:
    assert price(book, "gpt-4o", "openai", input_tokens=0, output_tokens=0).cost_usd == 0


def test_a_model_that_is_marked_free_costs_nothing(book: PriceBook) -> None:
    listed = price(book, "deepseek/deepseek-r1:free", "openrouter", input_tokens=10, output_tokens=1)
    unlisted = price(book, "somebody/new:free", "openrouter", input_tokens=10, output_tokens=1)

    assert (listed.cost_usd, unlisted.cost_usd) == (0, 0)


def test_an_answer_out_of_a_client_cache_costs_nothing(book: PriceBook) -> None:
    found = price(book, "model-nobody-knows", input_tokens=10, output_tokens=1, cache_hit=True)

    assert (found.cost_usd, found.source) == (0, "cache")


def test_the_responses_own_cost_goes_first() -> None:
    book = PriceBook({"gpt-4o": {"input": 1, "output": 1}}, environ={})
    found = price(book, "gpt-4o", "openrouter", input_tokens=10, output_tokens=1, reported_cost_usd="0.0123")

    assert (found.cost_usd, found.source, found.source_version) == (Decimal("0.0123"), "response", "openrouter")


@pytest.mark.parametrize("stated", ["", "free", "NaN", "-1", "Infinity"])
def test_a_stated_cost_that_is_no_number_is_passed_over(book: PriceBook, stated: str) -> None:
    assert (
        price(book, "gpt-4o", "openai", input_tokens=10, output_tokens=1, reported_cost_usd=stated).source == "snapshot"
    )


def test_the_users_price_goes_before_the_snapshot() -> None:
    book = PriceBook({"gpt-4o": {"input": 1, "output": 2}}, environ={})
    found = price(book, "gpt-4o", "openai", input_tokens=1_000_000, output_tokens=0)

    assert (found.cost_usd, found.source, found.source_version) == (1, "user", "settings")


def test_a_users_price_may_be_for_one_provider() -> None:
    book = PriceBook({"gpt-4o": {"input": 1, "output": 2, "provider": "azure"}}, environ={})

    assert price(book, "gpt-4o", "azure_openai", input_tokens=1, output_tokens=1).source == "user"
    assert price(book, "gpt-4o", "openai", input_tokens=1, output_tokens=1).source == "snapshot"


def test_a_users_exact_name_goes_before_the_undated_one() -> None:
    book = PriceBook({"gpt-4o": {"input": 1}, "gpt-4o-2024-08-06": {"input": 7}}, environ={})
    costs = [
        price(book, name, "openai", input_tokens=1_000_000, output_tokens=0).cost_usd
        for name in ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20")
    ]

    assert costs == [1, 7, 1]


def test_a_users_prices_may_change_at_a_date() -> None:
    table = [{"input": 1, "output": 1}, {"input": 3, "output": 3, "from": "2026-01-01"}]
    book = PriceBook({"mine": table}, environ={})
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    costs = [book.price(usage, model="mine", at=datetime(year, 6, 1, tzinfo=UTC)) for year in (2025, 2026)]

    assert [found.cost_usd for found in costs if found] == [1, 3]


def test_a_local_model_costs_what_the_user_says() -> None:
    book = PriceBook({"llama3": {"input": 0, "output": 0}}, environ={})

    assert price(book, "llama3", "ollama", input_tokens=10, output_tokens=1).cost_usd == 0


@pytest.mark.parametrize(
    ("variable", "value", "model", "provider"),
    [
        ("OPENAI_GPT4O_PRICE_PER_1K_INPUT", "0.005", "gpt-4o", "openai"),
        ("OPENAI_GPT_4O_PRICE_PER_1M_INPUT", "5", "gpt-4o-2024-08-06", "openai"),
        ("AZURE_OPENAI_GPT_4O_PRICE_PER_1M_INPUT", "5", "gpt-4o", "azure"),
        ("MY_MODEL_PRICE_PER_1M_INPUT", "5", "my-model", None),
    ],
)
def test_a_variable_sets_a_price(variable: str, value: str, model: str, provider: str | None) -> None:
    book = PriceBook(environ={variable: value})
    found = price(book, model, provider, input_tokens=1_000_000, output_tokens=0)

    assert (found.cost_usd, found.source_version) == (5, "environment")


def test_a_variable_goes_before_the_table() -> None:
    book = PriceBook({"gpt-4o": {"input": 1, "provider": "openai"}}, environ={"OPENAI_GPT4O_PRICE_PER_1M_INPUT": "5"})

    assert price(book, "gpt-4o", "openai", input_tokens=1_000_000, output_tokens=0).cost_usd == 5


def test_cached_input_has_its_variable() -> None:
    environ = {"OPENAI_GPT4O_PRICE_PER_1M_INPUT": "4", "OPENAI_GPT4O_PRICE_PER_1M_CACHED_INPUT": "1"}
    found = price(PriceBook(environ=environ), "gpt-4o", "openai", input_tokens=1_000_000, cache_read_tokens=500_000)

    assert found.cost_usd == Decimal("2.5")


def test_an_azure_deployment_has_the_price_of_its_model() -> None:
    book = PriceBook(environ={}, deployments={"team-a": "gpt-4o"})

    assert price(book, "team-a", "azure", input_tokens=1_000_000, output_tokens=0).cost_usd == Decimal("2.5")


@pytest.mark.parametrize(
    ("tables", "environ", "words"),
    [
        ({"m": {"input": "cheap"}}, {}, ['[prices."m"] input', "Type: input = 0.25"]),
        ({"m": {"input": -1}}, {}, ['[prices."m"] input', "-1"]),
        ({"m": {"input": True}}, {}, ['[prices."m"] input']),
        ({"m": {"imput": 1}}, {}, ["'imput'", "It takes: input"]),
        ({"m": {}}, {}, ["has no price", "Type: input = 0.25"]),
        ({"m": 3}, {}, ["is no table"]),
        ({"m": {"input": 1, "from": "soon"}}, {}, ["'soon'", 'Type: from = "2026-01-31"']),
        (None, {"OPENAI_GPT4O_PRICE_PER_1K_INPUT": "x"}, ["OPENAI_GPT4O_PRICE_PER_1K_INPUT", "Type:"]),
        (None, {"OPENAI_GPT4O_PRICE_PER_1K_IMPUT": "1"}, ["IMPUT", "INPUT"]),
    ],
)
def test_a_price_that_cannot_be_read_says_what_to_type(tables: Any, environ: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        PriceBook(tables, environ=environ)

    assert [word for word in words if word not in str(raised.value)] == []


@pytest.mark.parametrize("region", ["ap-south-1", "AP-South-1"])
def test_a_region_has_its_own_price(book: PriceBook, region: str) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    model = "meta.llama3-70b-instruct-v1:0"
    here = book.price(usage, model=model, provider="bedrock", region=region, at=NOON)

    assert here is not None
    assert here.rule.startswith("bedrock/ap-south-1/")


def test_the_provenance_is_plain_data(book: PriceBook) -> None:
    found = price(book, "gpt-4o", "openai", input_tokens=1)

    assert found.as_dict() == {
        "source": "snapshot",
        "source_version": found.source_version,
        "rule": "openai/gpt-4o",
        "confidence": "partial",
        "partial_units": ["output"],
    }


def test_parts_do_not_overlap_and_are_never_negative() -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=10,
        cache_read_tokens=90,
        cache_read_audio_tokens=20,
        cache_write_tokens=30,
        input_audio_tokens=25,
        reasoning_tokens=12,
    )

    assert parts_of(usage) == [
        ("cache_read_audio", 20),
        ("cache_read", 70),
        ("cache_write", 30),
        ("input_audio", 5),
        ("reasoning", 12),
    ]


def test_a_callers_decimal_context_does_not_matter() -> None:
    rules = RuleSet([{"prices": {"input": "1.2345"}}])
    with localcontext() as context:
        context.prec = 2
        costed = cost_of(Usage(input_tokens=123457, output_tokens=0), rules, rules.rates(0, None, 123457))

    assert costed is not None
    assert costed[0] == Decimal("0.1524076665")


def test_prices_load_nothing_until_the_first_price() -> None:
    script = (
        "import sys; from treerings.prices import PriceBook; from treerings.prices_snapshot import bundled\n"
        "PriceBook(environ={}); assert bundled.cache_info().currsize == 0\n"
        "bundled(); bad = {'genai_prices', 'litellm', 'tiktoken'} & set(sys.modules); assert not bad, bad"
    )

    subprocess.run([sys.executable, "-c", script], check=True)
