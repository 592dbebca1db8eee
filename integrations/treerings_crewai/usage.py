"""The usage of one model call, as CrewAI's providers write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from treerings import Usage

__all__ = ["usage_of"]

INPUT = ("prompt_tokens", "input_tokens", "prompt_token_count")
OUTPUT = ("completion_tokens", "output_tokens", "candidates_token_count")
OWN = ("cached_prompt_tokens", "cache_creation_tokens", "reasoning_tokens")


def usage_of(told: Any) -> Usage | None:
    """The usage that an event tells; None when it tells nothing, which CrewAI also writes as zeros.

    CrewAI's own providers write flat counts in which the input includes what was read from and written to the cache,
    also for Anthropic. LiteLLM's and Bedrock's are those of the answer.
    """
    if not isinstance(told, Mapping) or not told:
        return None
    if any(key in told for key in OWN) and not any(isinstance(value, Mapping) for value in told.values()):
        usage = Usage(
            input_tokens=_count(told, *INPUT),
            output_tokens=_count(told, *OUTPUT),
            cache_read_tokens=_count(told, "cached_prompt_tokens") or None,
            cache_write_tokens=_count(told, "cache_creation_tokens") or None,
            reasoning_tokens=_count(told, "reasoning_tokens") or None,
        )
        _add_results_of_tools(usage, told)
    else:
        usage = Usage.from_provider({"usage": dict(told)})
    return usage if usage.total_tokens or usage.requests else None


def _add_results_of_tools(usage: Usage, told: Mapping[str, Any]) -> None:
    """Gemini's total holds what tools that it runs itself put into the prompt; CrewAI leaves that out of its counts."""
    total, known = _count(told, "total_token_count"), usage.total_tokens
    if total is not None and known is not None and total > known and usage.input_tokens is not None:
        usage.tool_prompt_tokens = total - known
        usage.input_tokens += total - known


def _count(told: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
