"""Anthropic's usage object: `input_tokens` is only the part that no cache served.

https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count, mapping, tier, total

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_anthropic", "read_message"]

_OWN_KEYS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "server_tool_use",
    "iterations",
)


def is_anthropic(raw: Mapping[str, Any]) -> bool:
    """Whether `input_tokens` of this object excludes the cache, as Anthropic's does."""
    return "input_tokens_details" not in raw and any(key in raw for key in _OWN_KEYS)


def read_message(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Input is `input_tokens + cache_read_input_tokens + cache_creation_input_tokens`.

    A compaction inside the request is billed, but only listed under `iterations`: it is added. An adviser's iterations
    are another model's and stay out.
    """
    usage = _read(raw)
    iterations = raw.get("iterations")
    if isinstance(iterations, list):
        for entry in iterations:
            part = mapping(entry)
            if part.get("type") == "compaction":
                _add(usage, _read(part))
    usage.reasoning_tokens = count(mapping(raw.get("output_tokens_details")).get("thinking_tokens"))
    usage.service_tier = "fast" if raw.get("speed") == "fast" else tier(raw.get("service_tier"))
    tools = mapping(raw.get("server_tool_use"))
    searches = count(tools.get("web_search_requests"))
    if searches:
        usage.requests["web_search"] = searches
    return usage


def _read(raw: Mapping[str, Any]) -> Usage:
    lifetimes = mapping(raw.get("cache_creation"))
    short = count(lifetimes.get("ephemeral_5m_input_tokens"))
    long = count(lifetimes.get("ephemeral_1h_input_tokens"))
    uncached = count(raw.get("input_tokens"))
    read = count(raw.get("cache_read_input_tokens"))
    written = count(raw.get("cache_creation_input_tokens"))
    if written is None:
        written = total(short, long)
    return Usage(
        input_tokens=None if uncached is None else total(uncached, read, written),
        output_tokens=count(raw.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long,
    )


def _add(usage: Usage, part: Usage) -> None:
    for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"):
        setattr(usage, name, total(getattr(usage, name), getattr(part, name)))
