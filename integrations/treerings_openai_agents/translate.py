"""The SDK's span data in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from treerings import Kind, Usage

__all__ = ["What", "answer", "ended", "labels", "provider", "request", "tool_calls", "usage", "what"]

REQUEST_PARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "max_tokens",
        "frequency_penalty",
        "presence_penalty",
        "tool_choice",
        "parallel_tool_calls",
        "truncation",
        "reasoning",
        "verbosity",
    }
)
"""What is kept of a model's configuration; the rest may hold anything, headers included."""

_HIDDEN = {"hidden": True}


class What(NamedTuple):
    """What a span is when it starts."""

    kind: Kind
    name: str
    attributes: dict[str, Any] | None = None


def what(data: Any) -> What:
    """A span's kind and name; the ones that only group others are plumbing."""
    match data.type:
        case "agent":
            return What(Kind.AGENT, data.name)
        case "task":
            return What(Kind.TASK, data.name, _HIDDEN)
        case "turn":
            return What(Kind.CHAIN, f"turn {data.turn}", _HIDDEN)
        case "generation" | "response":
            return What(Kind.LLM, data.type)
        case "function":
            return What(Kind.TOOL, data.name)
        case "handoff":
            return What(Kind.HANDOFF, data.to_agent or "handoff")
        case "guardrail":
            return What(Kind.GUARDRAIL, data.name)
        case "mcp_tools":
            return What(Kind.CHAIN, f"list tools of {data.server or 'mcp'}", _HIDDEN)
        case "transcription" | "speech":
            return What(Kind.LLM, data.type, {"call_type": data.type})
        case other:
            return What(Kind.CHAIN, str(getattr(data, "name", None) or other))


def labels(trace: Any) -> dict[str, str] | None:
    """A trace's group is a session: the SDK's example is the id of a chat thread."""
    found = {"session_id": getattr(trace, "group_id", None)}
    metadata = getattr(trace, "metadata", None)
    if isinstance(metadata, Mapping):
        found |= {name: metadata[name] for name in ("session_id", "user_id", "tenant_id") if name in metadata}
    return {key: str(value) for key, value in found.items() if isinstance(value, str | int)} or None


def request(data: Any) -> dict[str, Any] | None:
    config = getattr(data, "model_config", None)
    if not isinstance(config, Mapping):
        return None
    return {key: config[key] for key in REQUEST_PARAMETERS if config.get(key) is not None} or None


def provider(data: Any) -> str | None:
    """Who serves the model, by the address that the SDK puts into the configuration; its Responses model is OpenAI's."""
    if data.type == "response":
        return "openai"
    config = getattr(data, "model_config", None)
    host = urlsplit(str(config.get("base_url") or "")).hostname if isinstance(config, Mapping) else None
    if host is None:
        return None
    if host.endswith(".azure.com"):
        return "azure"
    return "openai" if host.endswith("openai.com") else None


def usage(data: Any) -> Usage | None:
    """The usage of one model call; zeros are what the SDK says of a stream that reported none."""
    response = getattr(data, "response", None)
    found = Usage.from_provider(response) if response is not None else Usage()
    if found == Usage() and isinstance(getattr(data, "usage", None), Mapping):
        found = Usage.from_provider(dict(data.usage), "openai")
    return found if found.input_tokens or found.output_tokens else None


def answer(data: Any) -> Any:
    """What a model answered: the message, or the output items of a response."""
    response = getattr(data, "response", None)
    if response is not None:
        return [_plain(item) for item in getattr(response, "output", None) or []]
    output = getattr(data, "output", None)
    if isinstance(output, list | tuple) and len(output) == 1:
        return _plain(output[0])
    return output


def _plain(item: Any) -> Any:
    return item.model_dump(exclude_none=True, warnings=False) if hasattr(item, "model_dump") else item


def tool_calls(data: Any) -> list[tuple[str, str, str]]:
    """The tool calls that a model asked for: id, name and arguments."""
    found: list[tuple[str, str, str]] = []
    said = answer(data)
    for item in said if isinstance(said, list) else [said]:
        if not isinstance(item, Mapping):
            continue
        if item.get("type") == "function_call":
            found.append((str(item.get("call_id")), str(item.get("name")), str(item.get("arguments"))))
        for call in item.get("tool_calls") or ():
            function = call.get("function") or {}
            found.append((str(call.get("id")), str(function.get("name")), str(function.get("arguments"))))
    return found


def ended(data: Any) -> dict[str, Any]:
    """Attributes that are known at the end of a span."""
    found: dict[str, Any] = {}
    match data.type:
        case "generation" | "response":
            response = getattr(data, "response", None)
            found = {"response_id": getattr(response, "id", None), "request": request(data)}
        case "handoff":
            found = {"handoff_to": data.to_agent}
        case "guardrail":
            found = {"triggered": True if data.triggered else None}
        case "function":
            found = {"mcp": data.mcp_data or None}
        case "agent":
            found = {"tools": data.tools or None, "handoffs": data.handoffs or None}
    return {key: value for key, value in found.items() if value is not None}
