"""Bedrock's usage: Converse, and the bodies of Nova, Titan, Llama and Jurassic.

`inputTokens` excludes both cache counts. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count, first, mapping, tier, total

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_converse", "read_headers", "read_jurassic", "read_llama", "read_metrics", "read_titan"]

_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount")  # Converse gives both names, Nova's own body the second
_WRITE = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")


def read_converse(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`inputTokens`, `outputTokens` and the cache counts beside them."""
    return _with_cache(raw, count(raw.get("inputTokens")), count(raw.get("outputTokens")))


def read_metrics(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`amazon-bedrock-invocationMetrics`, the last chunk of an invocation stream."""
    return _with_cache(raw, count(raw.get("inputTokenCount")), count(raw.get("outputTokenCount")))


def read_titan(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Titan's text and embedding bodies; a stream's last chunk has the total."""
    output = count(raw.get("totalOutputTextTokenCount"))
    results = raw.get("results")
    if output is None and isinstance(results, list):
        output = total(*(count(mapping(result).get("tokenCount")) for result in results))
    return Usage(input_tokens=count(raw.get("inputTextTokenCount")), output_tokens=output)


def read_llama(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`prompt_token_count` and `generation_token_count`."""
    return Usage(
        input_tokens=count(raw.get("prompt_token_count")), output_tokens=count(raw.get("generation_token_count"))
    )


def read_jurassic(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """AI21's J2 bodies give no counts but the tokens themselves."""
    completions = raw.get("completions")
    outputs = [
        _length(mapping(mapping(completion).get("data")).get("tokens"))
        for completion in (completions if isinstance(completions, list) else [])
    ]
    return Usage(input_tokens=_length(mapping(raw.get("prompt")).get("tokens")), output_tokens=total(*outputs))


def read_headers(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """The counts that Bedrock sends as headers with an invocation."""
    return Usage(
        input_tokens=_digits(raw.get("x-amzn-bedrock-input-token-count")),
        output_tokens=_digits(raw.get("x-amzn-bedrock-output-token-count")),
    )


def _with_cache(raw: Mapping[str, Any], uncached: int | None, output: int | None) -> Usage:
    read, written = first(raw, *_READ), first(raw, *_WRITE)
    long = None
    lifetimes = raw.get("cacheDetails")
    if isinstance(lifetimes, list):
        hour = [mapping(entry) for entry in lifetimes if mapping(entry).get("ttl") == "1h"]
        long = total(*(count(entry.get("inputTokens")) for entry in hour))
    return Usage(
        input_tokens=None if uncached is None else total(uncached, read, written),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long,
        service_tier=tier(raw.get("serviceTier")),
    )


def _length(tokens: object) -> int | None:
    return len(tokens) if isinstance(tokens, list) else None


def _digits(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16 else None
