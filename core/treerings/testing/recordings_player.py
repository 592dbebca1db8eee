"""Playing recorded calls: which call a request gets, and how the call is sent."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from treerings.testing import recordings
from treerings.testing.model_http import HttpResponse
from treerings.testing.model_parts import encode, event
from treerings.testing.model_rendering import COMPLETIONS, streamed
from treerings.testing.model_script import ModelServerError
from treerings.testing.model_usage import UsageTotal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from treerings.testing.model_request import ModelRequest
    from treerings.testing.recordings import Call

__all__ = ["Player", "played"]

_EVENTS = "text/event-stream; charset=utf-8"


class Player:
    """Gives each request a recorded call; safe to use from several threads."""

    def __init__(
        self, recording: str | Path | Iterable[Call | Mapping[str, Any]], *, match: Literal["order", "content"]
    ) -> None:
        if match not in ("order", "content"):
            raise ModelServerError(f"match={match!r} is not known. Use 'order' or 'content'.")
        loaded = recordings.load(recording) if isinstance(recording, str | Path) else recordings.calls(recording)
        self.calls = tuple(loaded)
        self._match = match
        self._unplayed = list(loaded)
        self._lock = threading.Lock()

    def serves(self, request: ModelRequest) -> bool:
        """Whether there are calls to the request's endpoint, played or not."""
        return any(call.endpoint == request.endpoint for call in self.calls)

    def take(self, request: ModelRequest) -> Call | None:
        """The call for this request; None when there is none or it has been played."""
        with self._lock:
            found = next((call for call in self._unplayed if self._fits(call, request)), None)
            if found is not None:
                self._unplayed.remove(found)
            elif self._match == "content":
                found = next((call for call in reversed(self.calls) if self._fits(call, request)), None)
            return found

    def describe(self, request: ModelRequest) -> str:
        """One sentence about the state of the recording, for an error."""
        of_endpoint = [call for call in self.calls if call.endpoint == request.endpoint]
        left = sum(call.endpoint == request.endpoint for call in self._unplayed)
        text = f"Of {len(of_endpoint)} recorded calls to {request.endpoint} {len(of_endpoint) - left} are played"
        return f"{text} and none has this conversation." if self._match == "content" else f"{text}."

    def _fits(self, call: Call, request: ModelRequest) -> bool:
        if call.endpoint != request.endpoint:
            return False
        return self._match == "order" or _content(call.asked) == _content(request)


def _content(request: ModelRequest) -> object:
    """What makes two requests the same question: the conversation, not the model and its settings."""
    return request.turns or json.dumps(request.body, sort_keys=True)


def played(call: Call, request: ModelRequest) -> tuple[HttpResponse, UsageTotal]:
    """The call as an answer to this request, and the usage that it reports.

    An answer is made a stream when the client asks for one and the recording is none; a chat completion or a response
    also the other way round. What else was recorded is sent as it was.
    """
    usage = recordings.usage_total([call])
    binary = recordings.event_stream(call)
    if binary is not None:
        return HttpResponse(call.status, "application/vnd.amazon.eventstream", [binary], streamed=True), usage
    if isinstance(call.response, str):
        if not request.stream and call.endpoint in {"chat/completions", "responses"} and call.status < 400:
            return _whole(call.status, _assembled(call)), usage
        kind, parts = _raw_parts(call.response)
        return HttpResponse(call.status, kind, parts, streamed=True), usage
    if request.stream and call.status < 400:
        if call.endpoint in COMPLETIONS and isinstance(call.response, dict):
            return streamed(request, call.response, usage, status=call.status)
        if request.query.get("alt") == "sse" and isinstance(call.response, list):
            return HttpResponse(call.status, _EVENTS, [event(item) for item in call.response], streamed=True), usage
    return _whole(call.status, call.response), usage


def _whole(status: int, body: object) -> HttpResponse:
    return HttpResponse(status, "application/json", [encode(body)])


def _raw_parts(text: str) -> tuple[str, list[bytes]]:
    """The content type of a recorded stream and the text in the parts that it was made of."""
    if text.lstrip().startswith("{"):
        return "application/x-ndjson", [line.encode() + b"\n" for line in text.splitlines() if line]
    blocks = text.replace("\r\n", "\n").strip("\n").split("\n\n")
    return _EVENTS, [block.strip("\n").encode() + b"\n\n" for block in blocks]


def _assembled(call: Call) -> dict[str, Any]:
    """The whole answer that a recorded stream adds up to."""
    if call.endpoint == "responses":
        final = [item["response"] for item in recordings.events(call) if "response" in item]
        return dict(final[-1]) if final else {}
    completion: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in recordings.events(call):
        completion.update((key, value) for key, value in chunk.items() if key != "choices" and value is not None)
        for part in chunk.get("choices") or ():
            _add_delta(choices, part)
    for choice in choices.values():
        if calls := choice["message"].get("tool_calls"):
            choice["message"]["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {**completion, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _add_delta(choices: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    index = part.get("index", 0)
    empty = {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
    choice = choices.setdefault(index, empty)
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    message = choice["message"]
    for key, value in (part.get("delta") or {}).items():
        if key == "tool_calls":
            _add_calls(message.setdefault("tool_calls", {}), value or ())
        elif key != "role" and isinstance(value, str):
            message[key] = (message.get(key) or "") + value


def _add_calls(calls: dict[int, dict[str, Any]], deltas: Iterable[Mapping[str, Any]]) -> None:
    for delta in deltas:
        function = delta.get("function") or {}
        opened = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
        call = calls.setdefault(delta.get("index", len(calls)), opened)
        call["id"] = delta.get("id") or call["id"]
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""
