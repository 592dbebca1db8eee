"""Gathering a streamed answer, event by event, the SDK's objects or the plain JSON."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from treerings import Usage
from treerings.usage_formats.reading import member

from .answers import Facts, failure

__all__ = ["Choices", "Events", "Fold"]

Read = Callable[[Any, "str | None"], Facts]

MAX_CHARS = 262_144
"""Characters of an answer that are kept, those of tool calls included."""
MAX_CHOICES = 128


class Fold(Protocol):
    """An answer that grows."""

    @property
    def complete(self) -> bool:
        """Whether the answer is whole, whatever may follow."""

    def take(self, event: Any) -> bool:
        """Take an event; whether it was output."""

    def facts(self) -> Facts:
        """What the events so far say."""


class _Text:
    """Pieces of a text, within a bound; what comes after it is counted."""

    __slots__ = ("left", "missing", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.left = MAX_CHARS
        self.missing = 0

    def add(self, piece: str) -> None:
        if len(piece) <= self.left:
            self.pieces.append(piece)
            self.left -= len(piece)
        else:
            self.missing += len(piece)

    def __str__(self) -> str:
        text = "".join(self.pieces)
        return f"{text}… [{self.missing} more characters]" if self.missing else text


class _Choice:
    __slots__ = ("calls", "content", "finish_reason", "is_text", "reasoning", "refusal", "role")

    def __init__(self) -> None:
        self.role: str | None = None
        self.content: _Text | None = None
        self.reasoning: _Text | None = None
        self.refusal: _Text | None = None
        self.calls: dict[Any, dict[str, Any]] = {}
        self.finish_reason: str | None = None
        self.is_text = False


class Choices:
    """A chat or a text completion: deltas by choice. The usage comes in a last chunk, in some or in none."""

    __slots__ = ("_choices", "_id", "_model", "_provider", "_read", "_reporting")

    def __init__(self, read: Read, provider: str | None) -> None:
        self._read = read
        self._provider = provider
        self._choices: dict[int, _Choice] = {}
        self._reporting: deque[Any] = deque(maxlen=8)
        """The last chunks that report usage: counts that are repeated are cumulative."""
        self._id: str | None = None
        self._model: str | None = None

    @property
    def complete(self) -> bool:
        return bool(self._choices) and all(choice.finish_reason for choice in self._choices.values())

    def take(self, event: Any) -> bool:
        if self._model is None:
            self._model = member(event, "model") or None
        if self._id is None:
            self._id = member(event, "id") or None
        spoken = False
        for part in member(event, "choices") or ():
            spoken = self._add(part) or spoken
            if member(part, "usage"):  # Moonshot
                self._reporting.append(event)
        if member(event, "usage") or member(event, "x_groq"):
            self._reporting.append(event)
        return spoken

    def _add(self, part: Any) -> bool:
        index = member(part, "index") or 0
        choice = self._choices.get(index)
        if choice is None:
            if len(self._choices) >= MAX_CHOICES:
                return False
            choice = self._choices[index] = _Choice()
        reason = member(part, "finish_reason")
        if reason:
            choice.finish_reason = reason
        delta = member(part, "delta")
        if delta is None:
            choice.is_text = True
            return _append(choice, "content", member(part, "text"))
        choice.role = choice.role or member(delta, "role")
        spoken = _append(choice, "content", member(delta, "content"))
        spoken = (
            _append(choice, "reasoning", member(delta, "reasoning_content") or member(delta, "reasoning")) or spoken
        )
        spoken = _append(choice, "refusal", member(delta, "refusal")) or spoken
        for call in member(delta, "tool_calls") or ():
            _add_call(choice.calls, member(call, "index"), member(call, "id"), member(call, "function"))
            spoken = True
        if (function := member(delta, "function_call")) is not None:
            _add_call(choice.calls, 0, None, function)
            spoken = True
        return spoken

    def facts(self) -> Facts:
        body = {
            "id": self._id,
            "model": self._model,
            "choices": [_whole(self._choices[i]) for i in sorted(self._choices)],
        }
        facts = self._read(body, self._provider)
        facts.usage = Usage.from_stream(list(self._reporting), self._provider)
        return facts


def _append(choice: _Choice, name: str, piece: Any) -> bool:
    if not piece or not isinstance(piece, str):
        if piece == "" and name == "content" and choice.content is None:
            choice.content = _Text()
        return False
    text = getattr(choice, name)
    if text is None:
        text = _Text()
        setattr(choice, name, text)
    text.add(piece)
    return True


def _add_call(calls: dict[Any, dict[str, Any]], index: Any, call_id: Any, function: Any) -> None:
    """Add to a call; some providers give no index and each call in one piece, then its id tells it from others."""
    key = index if index is not None else call_id or (next(reversed(calls)) if calls else 0)
    call = calls.get(key)
    if call is None:
        if len(calls) >= MAX_CHOICES:
            return
        call = calls[key] = {"id": call_id, "name": None, "arguments": _Text()}
    call["id"] = call["id"] or call_id
    call["name"] = call["name"] or member(function, "name")
    if isinstance(arguments := member(function, "arguments"), str):
        call["arguments"].add(arguments)


def _whole(choice: _Choice) -> dict[str, Any]:
    content = None if choice.content is None else str(choice.content)
    if choice.is_text:
        return {"text": content, "finish_reason": choice.finish_reason}
    said: dict[str, Any] = {"role": choice.role, "content": content}
    for name, text in (("reasoning_content", choice.reasoning), ("refusal", choice.refusal)):
        if text is not None:
            said[name] = str(text)
    if choice.calls:
        said["content"] = content or None
        said["tool_calls"] = [
            {"id": call["id"], "function": {"name": call["name"], "arguments": str(call["arguments"])}}
            for call in choice.calls.values()
        ]
    return {"message": said, "finish_reason": choice.finish_reason}


class Events:
    """Typed events: deltas, and a last one that has the whole answer. Responses, images, transcriptions, speech."""

    __slots__ = ("_facts", "_id", "_model", "_provider", "_read", "_text", "complete")

    def __init__(self, read: Read, provider: str | None) -> None:
        self._read = read
        self._provider = provider
        self._facts: Facts | None = None
        self._text = _Text()
        self._id: str | None = None
        self._model: str | None = None
        self.complete = False

    def take(self, event: Any) -> bool:
        kind = member(event, "type")
        if not isinstance(kind, str):
            return False
        if kind.endswith((".delta", ".partial_image")):
            delta = member(event, "delta")
            if isinstance(delta, str) and kind in ("response.output_text.delta", "transcript.text.delta"):
                self._text.add(delta)
            return True
        response = member(event, "response")
        if response is not None:
            self._id = self._id or member(response, "id")
            self._model = self._model or member(response, "model")
            if kind in ("response.completed", "response.incomplete", "response.failed"):
                self._facts = self._read(response, self._provider)
                self.complete = True
        elif kind == "error":
            self._facts = self.facts()
            self._facts.error = failure(member(event, "code"), member(event, "message"))
            self.complete = True
        elif kind.endswith((".completed", "text.done", "audio.done")) and not kind.startswith("response."):
            self._facts = self._last(event)
            self.complete = True
        return False

    def _last(self, event: Any) -> Facts:
        """The last event of an image, a transcription or a speech is its answer."""
        encoded = member(event, "b64_json")
        names = ("size", "quality", "output_format", "background", "text", "id")
        body = {name: member(event, name) for name in names}
        if encoded is not None:
            body["data"] = [{"b64_json": encoded}]
        facts = self._read(body, self._provider)
        facts.usage = Usage.from_stream([event], self._provider)
        return facts

    def facts(self) -> Facts:
        if self._facts is not None:
            return self._facts
        text = str(self._text)
        said = {"role": "assistant", "content": text} if self._id else text
        return Facts(output=said if text else None, model=self._model, response_id=self._id)
