"""Anthropic's SDK for the whole process."""

from __future__ import annotations

from typing import Any

from .clients import instrument, uninstrument

__all__ = ["instrument", "probe", "uninstrument"]


def probe(base_url: str) -> None:
    """Have the scripted server at `base_url` answer one question, with a tool call where the SDK runs tools."""
    import anthropic

    question: Any = {"role": "user", "content": "How old is the oak?"}
    asked: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": [question]}
    url = base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as client:
        if hasattr(anthropic, "beta_tool"):
            client.beta.messages.tool_runner(**asked, tools=[anthropic.beta_tool(ring_count)]).until_done()
        else:
            client.messages.create(**asked)


def ring_count(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"
