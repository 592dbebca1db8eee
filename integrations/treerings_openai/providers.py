"""Who answers a client: by its class and by the host that it talks to."""

from __future__ import annotations

from typing import Any

__all__ = ["provider_of"]

_HOSTS = {
    "anthropic.com": "anthropic",
    "azure.com": "azure",
    "cerebras.ai": "cerebras",
    "cohere.ai": "cohere",
    "cohere.com": "cohere",
    "deepinfra.com": "deepinfra",
    "deepseek.com": "deepseek",
    "fireworks.ai": "fireworks",
    "googleapis.com": "google",
    "groq.com": "groq",
    "mistral.ai": "mistral",
    "moonshot.ai": "moonshotai",
    "moonshot.cn": "moonshotai",
    "novita.ai": "novita",
    "openai.com": "openai",
    "openrouter.ai": "openrouter",
    "perplexity.ai": "perplexity",
    "together.ai": "together",
    "together.xyz": "together",
    "voyageai.com": "voyage",
    "writer.com": "writer",
    "x.ai": "xai",
    "z.ai": "zai",
}
"""The end of the host, as a whole: `api.x.ai`, and not `max.ai`."""
_OLLAMA_PORT = 11434


def provider_of(client: Any) -> str | None:
    """The provider's id; None for hosts that say nothing, such as a gateway's: there the model's name has to do."""
    name = type(client).__name__
    if "Azure" in name:
        return "azure"
    if "Bedrock" in name:
        return "bedrock"
    url = client.base_url
    host = str(url.host)
    if url.port == _OLLAMA_PORT:
        return "ollama"
    if host.startswith("bedrock-") and host.endswith(".amazonaws.com"):
        return "bedrock"
    while "." in host:
        if host in _HOSTS:
            return _HOSTS[host]
        host = host.partition(".")[2]
    return None
