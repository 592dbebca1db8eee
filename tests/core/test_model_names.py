"""A corpus of names as frameworks, gateways and clouds write them."""

from __future__ import annotations

import pytest
from treerings.model_names import candidates, provider_id, squeezed
from treerings.prices_snapshot import bundled

CORPUS = [
    # name, provider, the listed model that it means
    ("gpt-4o", None, "openai/gpt-4o"),
    ("GPT-4o", "openai", "openai/gpt-4o"),
    ("openai/gpt-5", None, "openai/gpt-5"),
    ("openai/gpt-5", "openai", "openai/gpt-5"),
    ("gpt-4o-2024-08-06", "openai", "openai/gpt-4o"),
    ("gpt-4o-2024-05-13", "openai", "openai/gpt-4o-2024-05-13"),
    ("gpt-4o-mini-20240718", "openai", "openai/gpt-4o-mini"),
    ("gpt-4.1-2099-01-01", "openai", "openai/gpt-4.1"),
    ("azure/gpt-5", None, "openai/gpt-5"),
    ("gpt-5", "azure", "openai/gpt-5"),
    ("gpt-35-turbo", "azure", "openai/gpt-3.5-turbo"),
    ("ft:gpt-4o-mini-2024-07-18:org::id", "openai", "openai/ft:gpt-4o-mini"),
    ("ft:gpt-4o:org::id", "openai", "openai/ft:gpt-4o"),
    ("models/gemini-2.5-pro", "google_genai", "google/gemini-2.5-pro"),
    ("models/gemini-2.5-pro", None, "google/gemini-2.5-pro"),
    ("gemini/gemini-2.5-flash", None, "google/gemini-2.5-flash"),
    ("vertex_ai/gemini-2.5-pro", None, "google/gemini-2.5-pro"),
    ("publishers/google/models/gemini-2.5-flash", "vertex_ai", "google/gemini-2.5-flash"),
    ("projects/p/locations/l/publishers/google/models/gemini-2.5-flash", None, "google/gemini-2.5-flash"),
    ("claude-sonnet-4-5@20250929", "google_vertexai", "google/claude-sonnet-4-5"),
    ("claude-sonnet-4-5-20250929", "anthropic", "anthropic/claude-sonnet-4-5"),
    ("claude-opus-4-20250514", None, "anthropic/claude-opus-4-0"),
    ("anthropic/claude-3.5-sonnet", "openai", "anthropic/claude-3-5-sonnet"),
    ("anthropic.claude-3-haiku-20240307-v1:0", None, "bedrock/regional.anthropic.claude-3-haiku-20240307-v1:0"),
    (
        "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        "amazon_bedrock",
        "bedrock/regional.anthropic.claude-3-7-sonnet-20250219-v1:0",
    ),
    (
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        None,
        "bedrock/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock_converse",
        "bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        None,
        "bedrock/regional.anthropic.claude-3-7-sonnet-20250219-v1:0",
    ),
    (
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
        "bedrock",
        "bedrock/amazon.nova-lite-v1:0",
    ),
    (
        "bedrock/converse/anthropic.claude-3-haiku-20240307-v1:0",
        None,
        "bedrock/regional.anthropic.claude-3-haiku-20240307-v1:0",
    ),
    ("meta.llama3-1-70b-instruct-v1:0", "bedrock", "bedrock/meta.llama3-1-70b-instruct-v1:0"),
    ("openrouter/anthropic/claude-sonnet-4.5", None, "openrouter/anthropic/claude-sonnet-4.5"),
    ("anthropic/claude-3.7-sonnet:thinking", "openrouter", "openrouter/anthropic/claude-3.7-sonnet"),
    ("deepseek/deepseek-r1:nitro", "openrouter", "openrouter/deepseek/deepseek-r1"),
    (
        "meta-llama/llama-3.3-70b-instruct:free",
        "openrouter",
        "openrouter/meta-llama/llama-3.3-70b-instruct:free",
    ),
    (
        "accounts/fireworks/models/llama-v3p3-70b-instruct",
        "fireworks",
        "fireworks/accounts/fireworks/models/llama-v3p3-70b-instruct",
    ),
    ("groq/llama-3.3-70b-versatile", None, "groq/llama-3.3-70b-versatile"),
    ("openai/gpt-oss-120b", "groq", "groq/openai/gpt-oss-120b"),
    ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", None, "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ("mistral-large-latest", "mistralai", "mistral/mistral-large"),
    ("command-r-plus", "cohere", "cohere/command-r-plus"),
    ("deepseek-chat", "deepseek", "deepseek/deepseek-chat"),
    ("grok-3", "xai", "xai/grok-3"),
    ("voyage-3", "voyageai", "voyage/voyage-3"),
    ("sonar-pro", "perplexity", "perplexity/sonar-pro"),
]


@pytest.mark.parametrize(("name", "provider", "listed"), CORPUS)
def test_a_dressed_up_name_finds_its_listed_model(name: str, provider: str | None, listed: str) -> None:
    found = (bundled().find(*candidate) for candidate in candidates(name, provider))

    assert next(model.id for model in found if model is not None) == listed


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("openai", "openai"),
        ("azure", "azure"),
        ("azure_openai", "azure"),
        ("AzureOpenAI", "azure"),
        ("anthropic", "anthropic"),
        ("google_genai", "google"),
        ("google_vertexai", "google"),
        ("gemini", "google"),
        ("amazon_bedrock", "bedrock"),
        ("bedrock", "bedrock"),
        ("bedrock_converse", "bedrock"),
        ("aws.bedrock", "bedrock"),
        ("mistralai", "mistral"),
        ("groq", "groq"),
        ("cohere", "cohere"),
        ("deepseek", "deepseek"),
        ("xai", "xai"),
        ("x_ai", "xai"),
        ("fireworks", "fireworks"),
        ("together", "together"),
        ("ollama", "ollama"),
        ("openrouter", "openrouter"),
        ("huggingface", "huggingface"),
        ("openai.chat", "openai"),
        ("Somebody New", "somebody-new"),
        ("", None),
        (None, None),
    ],
)
def test_frameworks_names_of_providers_are_ours(theirs: str | None, ours: str | None) -> None:
    assert provider_id(theirs) == ours


def test_an_azure_deployment_stands_for_its_model() -> None:
    assert ("azure", "gpt-4o") in candidates("team-a-prod", "azure", deployments={"team-a-prod": "gpt-4o"})


def test_a_region_goes_before_the_plain_name() -> None:
    names = candidates("gpt-4o", "azure", region="eu")

    assert names[:2] == [("azure", "eu/gpt-4o"), ("azure", "gpt-4o")]


def test_a_resold_model_never_takes_its_makers_name_from_another_provider() -> None:
    assert all(owner == "groq" for owner, _ in candidates("openai/gpt-oss-120b", "groq"))


def test_a_fine_tuned_model_never_becomes_its_base_model() -> None:
    assert all(name.startswith("ft:") for _, name in candidates("ft:gpt-4o:org::id", "openai"))


def test_a_free_variant_never_becomes_the_paid_model() -> None:
    assert all(name.endswith(":free") for _, name in candidates("deepseek/deepseek-r1:free", "openrouter"))


@pytest.mark.parametrize(
    "name", ["", "  ", "/", "a/", "/b", ":", "@", "arn:aws:bedrock", "models/", "::free", "a" * 5000]
)
def test_an_odd_name_only_finds_nothing(name: str) -> None:
    for candidate in candidates(name, "openai"):
        assert bundled().find(*candidate) is None


def test_squeezing_keeps_letters_and_digits() -> None:
    assert squeezed("GPT-4o_mini (2024)") == "gpt4omini2024"
