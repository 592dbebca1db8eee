"""What an answer says: the SDK's object or the plain JSON, read in one way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from treerings import Usage
from treerings.snapshot import Budget, snapshot

__all__ = [
    "AnswerFailed",
    "Facts",
    "choices",
    "embeddings",
    "failure",
    "images",
    "moderation",
    "of",
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


def of(value: Any, name: str) -> Any:
    """An entry of a JSON object, or a field of the SDK's object.

    Its fields and what else came are looked up themselves: asking a model for an attribute that it lacks is slow.
    """
    if type(value) is dict:
        return value.get(name)
    try:
        fields = value.__dict__
    except AttributeError:  # None, texts, numbers
        return None
    if name in fields:
        return fields[name]
    extra = getattr(value, "__pydantic_extra__", None)
    return extra.get(name) if extra else None


def choices(body: Any, provider: str | None = None) -> Facts:
    """A chat completion, or a text completion."""
    facts = _common(body, provider)
    budget = Budget()
    found = []
    for choice in of(body, "choices") or ():
        said = of(choice, "message")
        found.append(message(said, budget) if said is not None else snapshot(of(choice, "text"), budget=budget))
        if (reason := of(choice, "finish_reason")) and "finish_reason" not in facts.attributes:
            facts.attributes["finish_reason"] = reason
    facts.output = found[0] if len(found) == 1 else found or None
    return facts


def message(said: Any, budget: Budget) -> dict[str, Any]:
    """A message of the assistant: role and content, and what else it has."""
    taken: dict[str, Any] = {"role": of(said, "role") or "assistant", "content": of(said, "content")}
    calls = of(said, "tool_calls")
    if calls:
        taken["tool_calls"] = [_tool_call(call) for call in calls]
    elif (call := of(said, "function_call")) is not None:
        taken["tool_calls"] = [{"id": None, "name": of(call, "name"), "args": _args(of(call, "arguments"))}]
    for name, key in (("refusal", "refusal"), ("reasoning", "reasoning_content"), ("reasoning", "reasoning")):
        if value := of(said, key):
            taken.setdefault(name, value)
    if (audio := of(said, "audio")) is not None:
        taken["audio"] = {"id": of(audio, "id"), "transcript": of(audio, "transcript")}
    if annotations := of(said, "annotations"):
        taken["annotations"] = annotations
    return snapshot(taken, budget=budget)  # type: ignore[no-any-return]  # of a dict it is one


def _tool_call(call: Any) -> dict[str, Any]:
    function = of(call, "function") or of(call, "custom")
    arguments = of(function, "arguments")
    return {
        "id": of(call, "id"),
        "name": of(function, "name"),
        "args": _args(of(function, "input") if arguments is None else arguments),
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
    output = of(body, "output") or ()
    for item in output:
        kind = of(item, "type")
        if kind == "message":
            for part in of(item, "content") or ():
                if of(part, "type") == "refusal":
                    said["refusal"] = of(part, "refusal")
                elif isinstance(found := of(part, "text"), str):
                    texts.append(found)
        elif kind in ("function_call", "custom_tool_call"):
            arguments = of(item, "input") if kind == "custom_tool_call" else of(item, "arguments")
            calls.append({"id": of(item, "call_id"), "name": of(item, "name"), "args": _args(arguments)})
        elif kind == "reasoning":
            parts = of(item, "summary") or of(item, "content") or ()
            thoughts.extend(found for part in parts if isinstance(found := of(part, "text"), str))
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
    status = of(body, "status")
    reason = of(of(body, "incomplete_details"), "reason")
    if reason or isinstance(status, str):
        facts.attributes["finish_reason"] = reason or status
    if status == "failed":
        error = of(body, "error")
        facts.error = failure(of(error, "code"), of(error, "message"))


def failure(code: Any, text: Any) -> AnswerFailed:
    """The error that an answer holds, as an exception to record."""
    return AnswerFailed(": ".join(str(part) for part in (code, text) if part) or "failed")


def _without_blobs(item: Any) -> Any:
    """A generated image is its size."""
    if of(item, "type") == "image_generation_call" and isinstance(result := of(item, "result"), str):
        return {
            "type": "image_generation_call",
            "status": of(item, "status"),
            "result": f"<base64 {len(result)} characters>",
        }
    return item


def embeddings(body: Any, provider: str | None = None) -> Facts:
    """How many vectors of how many dimensions."""
    facts = _common(body, provider)
    data = of(body, "data") or ()
    vector = of(data[0], "embedding") if data else None
    dimensions = None if vector is None else len(vector)
    if isinstance(vector, str):  # base64 of 4 bytes each
        dimensions = (len(vector) * 3 // 4 - vector.count("=", -2)) // 4
    facts.output = {"vectors": len(data), "dimensions": dimensions}
    return facts


def images(body: Any, provider: str | None = None) -> Facts:
    """The images' sizes and formats; their addresses, without what signs them."""
    facts = _common(body, provider)
    found = []
    for image in of(body, "data") or ():
        encoded, url = of(image, "b64_json"), of(image, "url")
        about = {
            "bytes": len(encoded) * 3 // 4 if isinstance(encoded, str) else None,
            "url": url.partition("?")[0] if isinstance(url, str) else None,
            "revised_prompt": of(image, "revised_prompt"),
        }
        found.append({name: value for name, value in about.items() if value is not None})
    facts.output = snapshot({"images": found}) if found else None
    made = {name: of(body, name) for name in ("size", "quality", "output_format", "background")}
    facts.attributes["image"] = {"n": len(found), **{name: value for name, value in made.items() if value}}
    return facts


def transcription(body: Any, provider: str | None = None) -> Facts:
    """The text, and how long the sound was, where the answer says so."""
    if isinstance(body, str):  # the formats text, srt and vtt
        return Facts(output=snapshot(body))
    facts = _common(body, provider)
    facts.output = snapshot(of(body, "text"))
    duration = of(body, "duration")
    try:
        seconds = round(float(duration), 3) if duration is not None else None
    except (TypeError, ValueError):
        seconds = None
    about = {"seconds": seconds, "language": of(body, "language")}
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
    for result in of(body, "results") or ():
        categories = of(result, "categories")
        named = categories if isinstance(categories, Mapping) else getattr(categories, "__dict__", {})
        results.append(
            {"flagged": of(result, "flagged"), "categories": [name for name, hit in named.items() if hit is True]}
        )
    facts.output = snapshot(results[0] if len(results) == 1 else results)
    return facts


def _common(body: Any, provider: str | None) -> Facts:
    model, response_id = of(body, "model"), of(body, "id")
    return Facts(
        usage=Usage.from_provider(body, provider),
        model=model if isinstance(model, str) and model else None,
        response_id=response_id if isinstance(response_id, str) and response_id else None,
    )
