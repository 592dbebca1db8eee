"""What a model is called: frameworks, gateways and clouds each dress up the name under which its maker prices it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LOCAL_PROVIDERS", "candidates", "provider_id", "squeezed"]

_PROVIDERS = {
    "anthropic": "anthropic anthropic-chat claude chatanthropic",
    "azure": "azure azure-ai azure-openai azureopenai azure-openai-chat azurechatopenai azure-ai-openai az.ai.openai"
    " azure.ai.openai az.ai.inference azure.ai.inference azure-ai-inference azure-text",
    "bedrock": "bedrock aws aws-bedrock aws.bedrock amazon amazon-bedrock amazon-bedrock-converse bedrock-converse"
    " bedrock-runtime chatbedrock chatbedrockconverse bedrockruntime anthropic-bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere cohere-chat chatcohere",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "deepseek": "deepseek chatdeepseek",
    "fireworks": "fireworks fireworks-ai chatfireworks",
    "google": "google gemini google-genai google-generativeai google-generative-ai google-ai google-vertexai"
    " google-vertex-ai google-anthropic-vertex vertex vertexai vertex-ai gcp.gemini gcp.vertex-ai gcp.gen-ai"
    " chatgooglegenerativeai chatvertexai google-gla google-vertex gcp-gemini gcp-vertex-ai",
    "groq": "groq chatgroq",
    "meta": "meta meta-llama",
    "mistral": "mistral mistralai mistral-ai chatmistralai codestral",
    "moonshotai": "moonshotai moonshot kimi",
    "novita": "novita novita-ai",
    "ollama": "ollama ollama-chat chatollama",
    "openai": "openai openai-chat openai-responses openai-legacy chatopenai text-completion-openai openai-like",
    "openrouter": "openrouter chatopenrouter",
    "perplexity": "perplexity perplexityai pplx chatperplexity",
    "together": "together together-ai togetherai chattogether",
    "voyage": "voyage voyageai voyage-ai",
    "watsonx": "watsonx ibm ibm-watsonx ibm.watsonx.ai ibm-watsonx-ai",
    "writer": "writer",
    "xai": "xai x-ai x.ai chatxai",
    "zai": "zai z-ai",
}
_ALIASES = {alias: provider for provider, aliases in _PROVIDERS.items() for alias in aliases.split()}

LOCAL_PROVIDERS = frozenset(
    [
        "ollama",
        "vllm",
        "hosted-vllm",
        "lmstudio",
        "lm-studio",
        "llamacpp",
        "llama-cpp",
        "llamafile",
        "localai",
        "gpt4all",
        "mlx",
        "xinference",
        "lemonade",
        "huggingface-pipeline",
        "self-hosted",
        "local",
    ]
)
"""Models that run on the user's own machines: what they cost nobody but the user knows."""

_GATEWAYS = frozenset(
    {"openai", "litellm", "litellm-proxy", "portkey", "helicone", "openai-compatible", "custom-openai"}
)
"""Providers that a client names when it may speak to anybody: here the model's own prefix tells more."""

_VENDORS = frozenset(
    [
        "ai21",
        "amazon",
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "luma",
        "meta",
        "minimax",
        "mistral",
        "moonshot",
        "moonshotai",
        "nvidia",
        "openai",
        "qwen",
        "stability",
        "twelvelabs",
        "writer",
        "xai",
        "zai",
    ]
)
_GEOGRAPHIES = "us-gov|us|eu|apac|global|au|jp|ca|in|sa|uk|af|me"
_BEDROCK = re.compile(rf"^(?:({_GEOGRAPHIES})\.)?([a-z0-9]+)\.(.+)$")
_BEDROCK_VERSION = re.compile(r"-v\d+(?::\d+)?(?::\d+k|:mm)?$")
_ARN = re.compile(r"^arn:aws[\w-]*:bedrock:([\w-]*):[^:]*:(?:[\w-]+)/(.+)$")
_PATH = re.compile(r"^(?:.*/)?(?:publishers/([\w-]+)/)?models/([^/]+)$")
_DATE = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d|\d{4})$")
_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)$")
_LABELS = re.compile(r":(?:nitro|floor|online|thinking|beta|extended|exacto|free|latest|default)$")
_VERTEX_LABEL = re.compile(r"@(?:default|latest|001)$")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")

Candidate = tuple[str | None, str]


def provider_id(name: str | None) -> str | None:
    """Our id of a provider, whatever a framework calls it: `google_genai` is `google`, `mistralai` is `mistral`.

    An unknown name comes back in lower case; None stays None.
    """
    if not name:
        return None
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    known = _ALIASES.get(key)
    if known is None and "." in key:  # "openai.chat", "anthropic.messages": the SDK's surface behind the name
        known = _ALIASES.get(key.partition(".")[0])
    if known is None:
        known = _ALIASES.get(key.removeprefix("models-").removesuffix("-chat").removesuffix("-llm"))
    return known or key or None


def squeezed(name: str) -> str:
    """Letters and digits only, in lower case: `GPT-4o` and `gpt_4o` are one name in a table that a person types."""
    return _NOT_ALPHANUMERIC.sub("", name.lower())


def candidates(
    model: str,
    provider: str | None = None,
    *,
    region: str | None = None,
    deployments: Mapping[str, str] | None = None,
) -> list[Candidate]:
    """(provider, name) pairs under which a price may be listed, the most specific first.

    `provider` is an id of ours or any framework's name, `region` the cloud's, `deployments` maps the names of Azure
    deployments to models. The bare name never gains a maker that the dressed-up one did not name: a model that Groq
    serves as `openai/gpt-oss-120b` has Groq's price or none.
    """
    if deployments:
        model = deployments.get(model) or deployments.get(model.rpartition("/")[2]) or model
    name = model.strip().lower()
    if not name:
        return []
    owner = provider_id(provider)
    found: dict[Candidate, None] = {}
    for pair in _undressed(name, owner):
        for variant in _variants(pair[1]):
            for located in (f"{region.lower()}/{variant}", variant) if region else (variant,):
                found.setdefault((pair[0], located))
    return list(found)


def _undressed(name: str, owner: str | None) -> Iterator[Candidate]:
    """The name as it is, then without the dress of its gateway or cloud."""
    arn = _ARN.match(name)
    if arn:
        name, owner = arn[2], "bedrock"
    yield owner, name
    path = _PATH.match(name)
    if path and not name.startswith("accounts/"):
        name = path[2]
        owner = "google" if owner is None and (path[1] or name.startswith(("gemini", "learnlm"))) else owner
        yield owner, name
    prefix, slash, rest = name.partition("/")
    if slash:
        yield from _without_prefix(prefix, rest, owner)
        if prefix == "accounts":  # Fireworks: accounts/fireworks/models/x
            yield owner or "fireworks", name.rpartition("/")[2]
            if owner is None:
                yield "fireworks", name
        return
    dotted = _BEDROCK.match(name)
    if dotted and dotted[2] in _VENDORS and owner in (None, "bedrock"):
        yield "bedrock", name
        yield from (("bedrock", variant) for variant in _bedrock_variants(dotted))
    elif owner == "bedrock":
        yield owner, _BEDROCK_VERSION.sub("", name)


def _without_prefix(prefix: str, rest: str, owner: str | None) -> Iterator[Candidate]:
    named = _ALIASES.get(prefix.replace("_", "-"))
    if prefix in ("models", "litellm", "litellm_proxy"):
        yield from _undressed(rest, None if owner in _GATEWAYS else owner)
    elif prefix == "huggingface" and "/" in rest:  # LiteLLM's way to name the provider behind the router
        inner, _, rest = rest.partition("/")
        yield f"huggingface-{inner}", rest
    elif named is not None and named == owner:
        yield from _undressed(rest, owner)
    elif named is not None and (owner is None or owner in _GATEWAYS):
        if named == "bedrock":
            rest = rest.removeprefix("converse/").removeprefix("invoke/")
        yield from _undressed(rest, named)
        if owner == "openai":
            yield owner, rest
    elif owner in ("azure", "google", "databricks"):
        yield owner, rest
    elif owner is None or owner in _GATEWAYS:
        yield prefix.replace("_", "-"), rest
        yield None, rest


def _variants(name: str) -> Iterator[str]:
    """The name, then without what a price does not depend on: routing labels, Vertex' versions, dates."""
    yield name
    plain = _VERTEX_LABEL.sub("", name)
    if plain == name and "@" in name:
        plain = name.replace("@", "-")
    if not plain.startswith("ft:"):
        without = _LABELS.sub("", plain)
        if not name.endswith(":free"):
            plain = without
    if plain != name:
        yield plain
    if plain.startswith("ft:"):
        base = ":".join(plain.split(":")[:2])
        yield base
        return
    compact = _COMPACT_DATE.sub(r"-\1-\2-\3", plain)
    if compact != plain:
        yield compact
    undated = _DATE.sub("", plain)
    if undated != plain:
        yield undated
    if "gpt-35" in undated:
        yield undated.replace("gpt-35", "gpt-3.5")
    if "claude" in undated and "." in undated and not _BEDROCK.match(undated):
        yield undated.replace(".", "-")


def _bedrock_variants(match: re.Match[str]) -> Iterator[str]:
    geography, vendor, model = match.groups()
    bare = _BEDROCK_VERSION.sub("", model)
    for version in dict.fromkeys((model, bare)):
        if geography:
            yield f"{geography}.{vendor}.{version}"
    for version in dict.fromkeys((model, bare)):
        yield f"{vendor}.{version}"
