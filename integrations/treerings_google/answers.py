"""What Gemini, its embeddings and its images answered: the plain JSON of a body, or of the chunks of a stream."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from treerings import Usage
from treerings.snapshot import Budget, snapshot

__all__ = ["Chunks", "Facts", "content", "embeddings", "entry", "generated", "images"]

MAX_CHARS = 262_144
"""Characters of one streamed answer that are kept."""
MAX_PARTS = 2_000
MAX_CANDIDATES = 32

_UPPER = re.compile("[A-Z]")
_ROLES = {"model": "assistant", "function": "tool"}


@dataclass(slots=True)
class Facts:
    """What an answer tells about its call. The output is plain data."""

    output: Any = None
    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def entry(value: Any, name: str) -> Any:
    """An entry under its name in JSON, or in Python: the SDK sends both."""
    if not isinstance(value, dict):
        return None
    found = value.get(name)
    return value.get(_UPPER.sub(lambda letter: "_" + letter[0].lower(), name)) if found is None else found


def content(said: Any, budget: Budget | None = None) -> Any:
    """A message: role and content, and what it has of reasoning and tool calls; whatever else a part is stays as it is."""
    if not isinstance(said, dict):
        return snapshot(said, budget=budget)
    given = said.get("parts")
    role = said.get("role") or "user"
    message: dict[str, Any] = {"role": _ROLES.get(role, role), "content": ""}
    texts: list[str] = []
    parts: list[Any] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    for part in given if isinstance(given, list) else [given] if given else ():
        call = entry(part, "functionCall")
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(call, dict):
            calls.append({"id": call.get("id"), "name": call.get("name"), "args": call.get("args")})
        elif isinstance(text, str) and part.get("thought"):
            thoughts.append(text)
        elif isinstance(text, str):
            texts.append(text)
            parts.append({"text": text})
        else:
            parts.append(part)
    if parts and all(entry(part, "functionResponse") is not None for part in parts):
        message["role"] = "tool"
    message["content"] = "".join(texts) if len(texts) == len(parts) else parts
    if thoughts:
        message["reasoning"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return snapshot(message, budget=budget)


def generated(body: Any) -> Facts:
    """An answer of `generateContent`: its candidates as messages."""
    if not isinstance(body, dict):
        return Facts()
    facts = Facts(usage=Usage.from_provider(body, "google"))
    _common(facts, body)
    budget = Budget()
    messages = []
    for candidate in _list(body.get("candidates")):
        said = candidate.get("content")
        if isinstance(said, dict):
            messages.append(content({"role": "model", **said}, budget))
        _reason(facts, candidate)
    facts.output = messages[0] if len(messages) == 1 else messages or None
    feedback = body.get("promptFeedback")
    if isinstance(feedback, dict) and (reason := feedback.get("blockReason")):
        facts.attributes["finish_reason"] = str(reason)
    return facts


def embeddings(body: Any) -> Facts:
    """How many vectors of how many dimensions; Vertex says of each how many tokens it took."""
    facts = Facts(usage=Usage.from_provider(body, "google"))
    if not isinstance(body, dict):
        return facts
    predictions = [item.get("embeddings") or {} for item in _list(body.get("predictions"))]
    single = body.get("embedding")
    found = _list(body.get("embeddings")) or predictions or ([single] if isinstance(single, dict) else [])
    vectors = [values for item in found if isinstance(item, dict) and isinstance(values := item.get("values"), list)]
    facts.output = {"vectors": len(vectors), "dimensions": len(vectors[0]) if vectors else None}
    counts = [_count(item.get("statistics")) for item in found if isinstance(item, dict)]
    known = [number for number in counts if number is not None]
    if facts.usage is not None and facts.usage.input_tokens is None and known:
        facts.usage.input_tokens = sum(known)
    return facts


def images(body: Any) -> Facts:
    """The sizes and formats of images; they are billed one by one."""
    predictions = _list(body.get("predictions")) if isinstance(body, dict) else []
    found = []
    for item in predictions:
        encoded = item.get("bytesBase64Encoded")
        about = {
            "bytes": len(encoded) * 3 // 4 if isinstance(encoded, str) else None,
            "mime_type": item.get("mimeType"),
            "filtered": item.get("raiFilteredReason"),
        }
        found.append({name: value for name, value in about.items() if value is not None})
    made = sum("bytes" in about for about in found)
    usage = Usage(requests={"images": made}) if made else None
    return Facts(output=snapshot({"images": found}) if found else None, usage=usage, attributes={"image": {"n": made}})


class Chunks:
    """A streamed answer of `generateContent` as it grows; its counts are cumulative."""

    __slots__ = ("_facts", "_left", "_parts", "_reporting")

    def __init__(self) -> None:
        self._facts = Facts()
        self._parts: dict[int, list[dict[str, Any]]] = {}
        self._left = MAX_CHARS
        self._reporting: deque[Any] = deque(maxlen=8)

    @property
    def complete(self) -> bool:
        return "finish_reason" in self._facts.attributes

    def take(self, body: Any) -> bool:
        """Take a chunk; whether output was in it."""
        if not isinstance(body, dict):
            return False
        _common(self._facts, body)
        if body.get("usageMetadata"):
            self._reporting.append({"usageMetadata": body["usageMetadata"]})
        spoken = False
        for candidate in _list(body.get("candidates")):
            said = candidate.get("content")
            parts = _list(said.get("parts")) if isinstance(said, dict) else []
            for part in parts:
                spoken = self._add(candidate.get("index") or 0, part) or spoken
            _reason(self._facts, candidate)
        return spoken

    def _add(self, index: int, part: dict[str, Any]) -> bool:
        if len(self._parts) >= MAX_CANDIDATES and index not in self._parts:
            return False
        parts = self._parts.setdefault(index, [])
        text = part.get("text")
        if isinstance(text, str):
            part = {**part, "text": text[: self._left]}
            self._left -= len(part["text"])
        if len(parts) < MAX_PARTS or not isinstance(text, str):
            parts.append(snapshot(part))
        else:
            parts[-1] = {**part, "text": (parts[-1].get("text") or "") + part["text"]}
        del parts[2 * MAX_PARTS :]
        return bool(text) or "text" not in part

    def facts(self) -> Facts:
        """What the chunks so far say."""
        facts = self._facts
        messages = [content({"role": "model", "parts": self._parts[index]}) for index in sorted(self._parts)]
        facts.output = messages[0] if len(messages) == 1 else messages or None
        facts.usage = Usage.from_stream(list(self._reporting), "google")
        return facts


def _common(facts: Facts, body: dict[str, Any]) -> None:
    for name, key in (("model", "modelVersion"), ("response_id", "responseId")):
        if isinstance(value := body.get(key), str) and value:
            setattr(facts, name, value)


def _reason(facts: Facts, candidate: dict[str, Any]) -> None:
    reason = candidate.get("finishReason")
    if reason:
        facts.attributes.setdefault("finish_reason", str(reason))


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(statistics: Any) -> int | None:
    if not isinstance(statistics, dict):
        return None
    number = statistics.get("token_count", statistics.get("tokenCount"))
    return int(number) if isinstance(number, int | float) else None
