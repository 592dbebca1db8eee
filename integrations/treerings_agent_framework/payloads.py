"""The framework's messages, options and usage as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from treerings import Usage

__all__ = ["arguments", "contents", "counted", "messages", "provider", "request", "run_input"]

MAX_PARSED = 100_000
PROVIDERS = {
    "aws.bedrock": "bedrock",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
}
CACHE_APART = frozenset({"anthropic", "bedrock"})
"""Providers whose own input count leaves the cached tokens out."""
REQUEST = (
    "frequency_penalty",
    "max_tokens",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning",
    "reasoning_effort",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "tool_choice",
    "top_k",
    "top_p",
)


def provider(client: Any) -> str | None:
    """The provider's name, from what the client tells OpenTelemetry."""
    name = getattr(client, "otel_provider_name", None) or getattr(client, "OTEL_PROVIDER_NAME", None)
    return PROVIDERS.get(name, name) if isinstance(name, str) and name != "unknown" else None


def request(options: Mapping[str, Any]) -> dict[str, Any]:
    """The sampling parameters, by name: options may hold keys and headers too."""
    found = {name: options.get(name) for name in REQUEST}
    return {name: value for name, value in found.items() if isinstance(value, str | int | float | list | dict)}


def run_input(given: Iterable[Any]) -> Any:
    """What an agent is asked: the text, for a question of one message."""
    plain = messages(given)
    return plain[0]["content"] if len(plain) == 1 and plain[0]["role"] == "user" else plain


def messages(given: Iterable[Any]) -> list[dict[str, Any]]:
    """Messages as dictionaries: role, content, tool calls."""
    return [_message(message) for message in given]


def _message(message: Any) -> dict[str, Any]:
    role = getattr(message, "role", "user")
    plain: dict[str, Any] = {"role": str(getattr(role, "value", role))}
    listed = list(getattr(message, "contents", ()) or ())
    calls = [one for one in listed if one.type == "function_call"]
    results = [one for one in listed if one.type == "function_result"]
    if len(results) == 1:
        plain["tool_call_id"] = results[0].call_id
    plain["content"] = contents(one for one in listed if one.type not in ("function_call", "usage"))
    if calls:
        plain["tool_calls"] = [{"id": one.call_id, "name": one.name, "args": arguments(one.arguments)} for one in calls]
    return plain


def contents(listed: Any) -> Any:
    """Contents of a message or the result of a tool: text where it is nothing else."""
    if isinstance(listed, str) or not isinstance(listed, Iterable) or isinstance(listed, Mapping):
        return listed
    parts = [_part(part) for part in listed]
    if all(isinstance(part, str) for part in parts):
        return "".join(parts)
    return parts[0] if len(parts) == 1 else parts


def _part(part: Any) -> Any:
    kind = getattr(part, "type", None)
    if kind == "text":
        return part.text or ""
    if kind == "text_reasoning":
        return {"reasoning": part.text}
    if kind == "function_result":
        return contents(part.result)
    if kind == "uri":
        return {"uri": part.uri}
    return f"<{kind}>" if isinstance(kind, str) else part


def arguments(given: Any) -> Any:
    """The arguments of a tool call; text as it is where it is no JSON."""
    if hasattr(given, "model_dump"):
        return given.model_dump()
    if not isinstance(given, str) or len(given) > MAX_PARSED:
        return given
    try:
        return json.loads(given)
    except ValueError:
        return given


def counted(raw: list[Any], details: Any, provider: str | None) -> Usage | None:
    """The usage of one model call: as the provider said it, else as the framework passes it on.

    `raw` is the provider's answer, or what of its stream carried usage. All zeros are nothing that was reported.
    """
    usage = Usage.from_provider(raw[0], provider) if len(raw) == 1 else Usage.from_stream(raw, provider)
    if usage.input_tokens is None and usage.output_tokens is None and isinstance(details, Mapping):
        read, written = (
            _whole(details, "cache_read_input_token_count"),
            _whole(details, "cache_creation_input_token_count"),
        )
        given = _whole(details, "input_token_count")
        if given is not None and provider in CACHE_APART:
            given += (read or 0) + (written or 0)
        usage = Usage(
            input_tokens=given,
            output_tokens=_whole(details, "output_token_count"),
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=_whole(details, "reasoning_output_token_count"),
        )
    return usage if usage.total_tokens else None


def _whole(details: Mapping[str, Any], name: str) -> int | None:
    count = details.get(name)
    return count if isinstance(count, int) else None
