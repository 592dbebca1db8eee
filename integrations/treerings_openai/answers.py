"""What an answer says: the SDK's object or the plain JSON, read in one way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from treerings import Usage
from treerings.snapshot import Budget, snapshot
from treerings.usage_formats.reading import member

__all__ = [
    "AnswerFailed",
    "Facts",
    "choices",
    "embeddings",
    "failure",
    "images",
    "moderation",
    "response",
    "speech",
    "transcription",
]

LONGEST_CALLS = 262_144
"""Characters of a tool call's arguments that are read as JSON; longer ones stay text."""


class AnswerFailed(Exception):  # the name is shown
    """The provider answered that it could not answer."""


@dataclass(slots=True)
class Facts:
    """What an answer tells about its call. The output is plain data."""

    output: Any = None
    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    error: AnswerFailed | None = None


def choices(body: Any, provider: str | None = None) -> Facts:
    """A chat completion, or a text completion."""
    facts = _common(body, provider)
    budget = Budget()
    found = []
    for choice in member(body, "choices") or ():
        said = member(choice, "message")
        found.append(message(said, budget) if said is not None else snapshot(member(choice, "text"), budget=budget))
        if (reason := member(choice, "finish_reason")) and "finish_reason" not in facts.attributes:
            facts.attributes["finish_reason"] = reason
    facts.output = found[0] if len(found) == 1 else found or None
    return facts


def message(said: Any, budget: Budget) -> dict[str, Any]:
    """A message of the assistant: role and content, and what else it has."""
    taken: dict[str, Any] = {"role": member(said, "role") or "assistant", "content": member(said, "content")}
    calls = member(said, "tool_calls")
    if calls:
        taken["tool_calls"] = [_tool_call(call) for call in calls]
    elif (call := member(said, "function_call")) is not None:
        taken["tool_calls"] = [{"id": None, "name": member(call, "name"), "args": _args(member(call, "arguments"))}]
    for name, key in (("refusal", "refusal"), ("reasoning", "reasoning_content"), ("reasoning", "reasoning")):
        if value := member(said, key):
            taken.setdefault(name, value)
    if (audio := member(said, "audio")) is not None:
        taken["audio"] = {"id": member(audio, "id"), "transcript": member(audio, "transcript")}
    if annotations := member(said, "annotations"):
        taken["annotations"] = annotations
    return snapshot(taken, budget=budget)  # type: ignore[no-any-return]  # of a dict it is one


def _tool_call(call: Any) -> dict[str, Any]:
    function = member(call, "function") or member(call, "custom")
    arguments = member(function, "arguments")
    return {
        "id": member(call, "id"),
        "name": member(function, "name"),
        "args": _args(member(function, "input") if arguments is None else arguments),
    }


def _args(text: Any) -> Any:
    if not isinstance(text, str) or len(text) > LONGEST_CALLS:
        return text
    try:
        return json.loads(text)
    except ValueError:  # a free-form input, or what a model invents
        return text


def response(body: Any, provider: str | None = None) -> Facts:
    """An answer of the Responses interface: its items as one message, and what else there is beside texts and calls."""
    facts = _common(body, provider)
    said: dict[str, Any] = {"role": "assistant", "content": None}
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    others: list[Any] = []
    output = member(body, "output") or ()
    for item in output:
        kind = member(item, "type")
        if kind == "message":
            for part in member(item, "content") or ():
                if member(part, "type") == "refusal":
                    said["refusal"] = member(part, "refusal")
                elif isinstance(found := member(part, "text"), str):
                    texts.append(found)
        elif kind in ("function_call", "custom_tool_call"):
            arguments = member(item, "input") if kind == "custom_tool_call" else member(item, "arguments")
            calls.append({"id": member(item, "call_id"), "name": member(item, "name"), "args": _args(arguments)})
        elif kind == "reasoning":
            parts = member(item, "summary") or member(item, "content") or ()
            thoughts.extend(found for part in parts if isinstance(found := member(part, "text"), str))
        else:
            others.append(_without_blobs(item))
    if texts:
        said["content"] = "".join(texts)
    for name, value in (("tool_calls", calls), ("reasoning", "\n".join(thoughts)), ("items", others)):
        if value:
            said[name] = value
    if output:
        facts.output = snapshot(said)
    _status(facts, body)
    return facts


def _status(facts: Facts, body: Any) -> None:
    status = member(body, "status")
    reason = member(member(body, "incomplete_details"), "reason")
    if reason or isinstance(status, str):
        facts.attributes["finish_reason"] = reason or status
    if status == "failed":
        error = member(body, "error")
        facts.error = failure(member(error, "code"), member(error, "message"))


def failure(code: Any, text: Any) -> AnswerFailed:
    """The error that an answer holds, as an exception to record."""
    return AnswerFailed(": ".join(str(part) for part in (code, text) if part) or "failed")


def _without_blobs(item: Any) -> Any:
    """A generated image is its size."""
    if member(item, "type") == "image_generation_call" and isinstance(result := member(item, "result"), str):
        return {
            "type": "image_generation_call",
            "status": member(item, "status"),
            "result": f"<base64 {len(result)} characters>",
        }
    return item


def embeddings(body: Any, provider: str | None = None) -> Facts:
    """How many vectors of how many dimensions."""
    facts = _common(body, provider)
    data = member(body, "data") or ()
    vector = member(data[0], "embedding") if data else None
    dimensions = None if vector is None else len(vector)
    if isinstance(vector, str):  # base64 of 4 bytes each
        dimensions = (len(vector) * 3 // 4 - vector.count("=", -2)) // 4
    facts.output = {"vectors": len(data), "dimensions": dimensions}
    return facts


def images(body: Any, provider: str | None = None) -> Facts:
    """The images' sizes and formats; their addresses, without what signs them."""
    facts = _common(body, provider)
    found = []
    for image in member(body, "data") or ():
        encoded, url = member(image, "b64_json"), member(image, "url")
        about = {
            "bytes": len(encoded) * 3 // 4 if isinstance(encoded, str) else None,
            "url": url.partition("?")[0] if isinstance(url, str) else None,
            "revised_prompt": member(image, "revised_prompt"),
        }
        found.append({name: value for name, value in about.items() if value is not None})
    facts.output = snapshot({"images": found}) if found else None
    made = {name: member(body, name) for name in ("size", "quality", "output_format", "background")}
    facts.attributes["image"] = {"n": len(found), **{name: value for name, value in made.items() if value}}
    return facts


def transcription(body: Any, provider: str | None = None) -> Facts:
    """The text, and how long the sound was, where the answer says so."""
    if isinstance(body, str):  # the formats text, srt and vtt
        return Facts(output=snapshot(body))
    facts = _common(body, provider)
    facts.output = snapshot(member(body, "text"))
    duration = member(body, "duration")
    try:
        seconds = round(float(duration), 3) if duration is not None else None
    except (TypeError, ValueError):
        seconds = None
    about = {"seconds": seconds, "language": member(body, "language")}
    facts.attributes["audio"] = {name: value for name, value in about.items() if value is not None}
    if seconds is not None and (facts.usage is None or not facts.usage.as_dict()):
        facts.usage = Usage.from_provider({"seconds": seconds})  # whisper-1 is billed by it
    return facts


def speech(body: Any, provider: str | None = None) -> Facts:
    """The size of the sound; `body` is the number of its bytes."""
    return Facts(output={"bytes": body}) if isinstance(body, int) else Facts()


def moderation(body: Any, provider: str | None = None) -> Facts:
    """What was flagged, and for what."""
    facts = _common(body, provider)
    results = []
    for result in member(body, "results") or ():
        categories = member(result, "categories")
        named = categories if isinstance(categories, Mapping) else getattr(categories, "__dict__", {})
        results.append(
            {"flagged": member(result, "flagged"), "categories": [name for name, hit in named.items() if hit is True]}
        )
    facts.output = snapshot(results[0] if len(results) == 1 else results)
    return facts


def _common(body: Any, provider: str | None) -> Facts:
    model, response_id = member(body, "model"), member(body, "id")
    return Facts(
        usage=Usage.from_provider(body, provider),
        model=model if isinstance(model, str) and model else None,
        response_id=response_id if isinstance(response_id, str) and response_id else None,
    )
