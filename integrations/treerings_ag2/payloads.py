"""ag2's events as plain data: prompts, answers, tool results, usage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ag2.events import (
    DataInput,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolResultEvent,
    ToolResultsEvent,
)
from treerings import Usage, runtime

__all__ = ["answer", "arguments", "counted", "messages", "request", "result", "taken"]

MAX_PARSED = 100_000

CACHE_APART = frozenset({"anthropic", "bedrock"})
"""Providers whose input count leaves the cached tokens out, and which ag2 passes on as they are."""


def taken(value: Any) -> Any:
    """A payload as the recorder keeps it; None stays None."""
    return None if value is None else runtime.current_recorder().snapshot(value)


def request(event: Any) -> Any:
    """What a turn begins with."""
    if not isinstance(event, ModelRequest):
        return {"event": type(event).__name__}
    parts = [_part(part) for part in event.parts]
    return parts[0] if len(parts) == 1 else parts


def messages(prompt: Sequence[str], events: Sequence[Any]) -> list[dict[str, Any]]:
    """The prompt of a model call, one dictionary a message."""
    plain: list[dict[str, Any]] = [{"role": "system", "content": text} for text in prompt]
    for event in events:
        if isinstance(event, ModelRequest):
            plain.extend({"role": "user", "content": _part(part)} for part in event.parts)
        elif isinstance(event, ModelResponse):
            plain.append(answer(event))
        elif isinstance(event, ToolResultsEvent):
            for done in event.results:
                plain.append({"role": "tool", "tool_call_id": done.parent_id, "content": result(done)})
        elif (summary := getattr(event, "summary", None)) is not None:  # of a conversation that was compacted
            plain.append({"role": "user", "content": summary})
    return plain


def answer(response: ModelResponse) -> dict[str, Any]:
    """The answer of a model call: content and tool calls."""
    plain: dict[str, Any] = {"role": "assistant", "content": response.content or ""}
    if response.tool_calls:
        plain["tool_calls"] = [
            {"id": call.id, "name": call.name, "args": arguments(call.arguments)} for call in response.tool_calls.calls
        ]
    if response.files:
        plain["files"] = len(response.files)
    return plain


def arguments(text: Any) -> Any:
    """The arguments of a tool call; as they are where they are no JSON."""
    if not isinstance(text, str) or len(text) > MAX_PARSED:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def result(event: ToolResultEvent) -> Any:
    """What a tool returned."""
    parts = [_part(part) for part in event.result.parts] if event.result is not None else []
    return parts[0] if len(parts) == 1 else parts


def _part(part: Any) -> Any:
    if isinstance(part, TextInput):
        return part.content
    if isinstance(part, DataInput):
        return part.data
    return f"<{type(part).__name__}>"


def counted(usage: Any, provider: str | None) -> Usage | None:
    """Usage as inclusive sums; None where nothing was reported.

    ag2 passes on what providers count: Anthropic's and Bedrock's input leaves cached tokens out, and the output of some
    leaves the reasoning out, which shows in their total.
    """
    if not usage:
        return None
    given, made = _whole(usage.prompt_tokens), _whole(usage.completion_tokens)
    read, written = _whole(usage.cache_read_input_tokens), _whole(usage.cache_creation_input_tokens)
    thought, total = _whole(usage.thinking_tokens), _whole(usage.total_tokens)
    if thought and total is not None and total == (given or 0) + (made or 0) + thought:
        made = (made or 0) + thought
    if given is not None and provider in CACHE_APART:
        given += (read or 0) + (written or 0)
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=thought,
    )


def _whole(count: Any) -> int | None:
    return int(count) if isinstance(count, int | float) else None
