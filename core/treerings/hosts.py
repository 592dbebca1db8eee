"""Whose model answers a client of an SDK: told by the client's class, and by the host that it talks to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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


def provider_of(client: Any, classes: Mapping[str, str]) -> str | None:
    """The provider's id; None for hosts that say nothing, such as a gateway's: there the model's name has to do.

    `classes` are parts of the names of the SDK's clients for clouds; the user's may be a subclass of one.
    """
    url = client.base_url
    return _of_class(type(client), classes) or _of_host(str(url.host), url.port)


def _of_class(kind: type, classes: Mapping[str, str]) -> str | None:
    for base in kind.__mro__:
        for part, provider in classes.items():
            if part in base.__name__:
                return provider
    return None


@lru_cache(maxsize=256)
def _of_host(host: str, port: int | None) -> str | None:
    if port == _OLLAMA_PORT:
        return "ollama"
    if host.startswith("bedrock-") and host.endswith(".amazonaws.com"):
        return "bedrock"
    while "." in host:
        if host in _HOSTS:
            return _HOSTS[host]
        host = host.partition(".")[2]
    return None
