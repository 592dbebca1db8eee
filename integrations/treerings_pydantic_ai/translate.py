"""Pydantic AI's messages and usage in our words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from treerings import Usage
from treerings.model_names import provider_id

__all__ = ["answer", "arguments", "messages", "model_of", "provider_of", "request", "usage"]

REQUEST_PARAMETERS = frozenset(
    {
        "max_tokens",
        "temperature",
        "top_p",
        "seed",
        "parallel_tool_calls",
        "tool_choice",
        "presence_penalty",
        "frequency_penalty",
        "stop_sequences",
        "service_tier",
        "thinking",
    }
)
"""What is kept of a model's settings; the rest may hold anything, headers included."""

_ROLES = {
    "system-prompt": "system",
    "user-prompt": "user",
    "tool-return": "tool",
    "builtin-tool-return": "tool",
    "retry-prompt": "user",
}


def messages(history: Sequence[Any]) -> list[dict[str, Any]]:
    """A conversation as roles and contents; instructions stand before the request that has them last."""
    said: list[dict[str, Any]] = []
    instructions: str | None = None
    for message in history:
        if getattr(message, "kind", None) == "response":
            said.append(answer(message))
            continue
        instructions = getattr(message, "instructions", None) or instructions
        for part in getattr(message, "parts", ()):
            kind = getattr(part, "part_kind", "")
            entry: dict[str, Any] = {"role": _ROLES.get(kind, kind), "content": getattr(part, "content", None)}
            if (call_id := getattr(part, "tool_call_id", None)) and getattr(part, "tool_name", None):
                entry |= {"role": "tool", "tool_call_id": call_id, "name": part.tool_name}
            said.append(entry)
    return [{"role": "system", "content": instructions}, *said] if instructions else said


def answer(response: Any) -> dict[str, Any]:
    """A model's message: its text, its thoughts, the tools that it calls."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    others: list[Any] = []
    for part in getattr(response, "parts", ()):
        match getattr(part, "part_kind", ""):
            case "text":
                texts.append(part.content)
            case "thinking":
                thoughts.append(part.content)
            case "tool-call" | "builtin-tool-call":
                calls.append({"id": part.tool_call_id, "name": part.tool_name, "arguments": part.args})
            case _:
                others.append(getattr(part, "content", None))
    said: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    for name, found in (("thinking", "".join(thoughts)), ("tool_calls", calls), ("parts", others)):
        if found:
            said[name] = found
    return said


def arguments(call: Any, args: Any) -> Any:
    """What a tool is called with, without what its function does not get from the model."""
    return args if isinstance(args, Mapping) else getattr(call, "args", None)


def request(settings: Any) -> dict[str, Any] | None:
    if not isinstance(settings, Mapping):
        return None
    return {key: settings[key] for key in REQUEST_PARAMETERS if settings.get(key) is not None} or None


def model_of(model: Any) -> str | None:
    name = getattr(model, "model_name", None)
    return name if isinstance(name, str) else None


def provider_of(model: Any) -> str | None:
    name = getattr(model, "system", None)
    return provider_id(name) if isinstance(name, str) else None


def usage(response: Any) -> Usage | None:
    """The usage of one response. Its counts begin at 0: nothing but zeros is a stream that reported nothing."""
    said: Any = getattr(response, "usage", None)
    if said is None or not (said.input_tokens or said.output_tokens):
        return None
    details = getattr(said, "details", None) or {}
    searches = details.get("web_search_requests")
    return Usage(
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        cache_read_tokens=said.cache_read_tokens or None,
        cache_write_tokens=said.cache_write_tokens or None,
        input_audio_tokens=getattr(said, "input_audio_tokens", 0) or None,
        output_audio_tokens=getattr(said, "output_audio_tokens", 0) or None,
        cache_read_audio_tokens=getattr(said, "cache_audio_read_tokens", 0) or None,
        reasoning_tokens=details.get("reasoning_tokens") or details.get("thoughts_tokens"),
        requests={"web_search": searches} if searches else {},
    )
