"""Answers as they came over the wire: what is asked for through `with_raw_response` and `with_streaming_response`."""

from __future__ import annotations

import json
from typing import Any

from treerings.http_bodies import decoded

from .answers import Facts
from .endpoints import Endpoint

__all__ = ["Body", "whole_body"]

MAX_BYTES = 32 * 1024 * 1024
"""So much of a body is kept to be read; of a longer one only the size is known. Streams are read as they come."""


class Body:
    """A body that comes in chunks of bytes: a stream of events, JSON, text, or sound."""

    __slots__ = ("_chunks", "_endpoint", "_fold", "_lines", "_provider", "_response", "_size", "_sort", "complete")

    def __init__(self, response: Any, endpoint: Endpoint, provider: str | None) -> None:
        self._response = response
        self._endpoint = endpoint
        self._provider = provider
        self._chunks: list[bytes] = []
        self._size = 0
        self._sort = _sort(response.headers)
        self._fold = endpoint.fold(endpoint.read, provider)
        self._lines = b""
        self.complete = False

    def take(self, chunk: bytes) -> bool:
        """Take a chunk; whether output was in it."""
        self._size += len(chunk)
        if self._sort == "events":
            return self._take_events(chunk)
        if self._sort == "sound" or self._size > MAX_BYTES:
            self._chunks.clear()
        else:
            self._chunks.append(chunk)
        return self._sort == "sound"

    def _take_events(self, chunk: bytes) -> bool:
        spoken = False
        *lines, self._lines = (self._lines + chunk).split(b"\n")
        if len(self._lines) > MAX_BYTES:
            self._lines = b""
        for line in lines:
            if line.startswith(b"data:"):
                spoken = self._take_data(line[5:].strip()) or spoken
        return spoken

    def _take_data(self, data: bytes) -> bool:
        if data.startswith(b"[DONE]"):
            self.complete = True
            return False
        try:
            event = json.loads(data)
        except ValueError:  # the SDK will say so
            return False
        spoken = self._fold.take(event)
        self.complete = self.complete or self._fold.complete
        return spoken

    def facts(self) -> Facts:
        """What the body says; nothing where it was cut or cannot be read."""
        if self._sort == "events":
            return self._fold.facts()
        if self._sort == "sound":
            return self._endpoint.read(self._size, self._provider) if self._endpoint.call_type == "speech" else Facts()
        try:
            whole = decoded(self._response, b"".join(self._chunks))
            if self._sort == "encoded events":
                for line in whole.splitlines():
                    if line.startswith(b"data:"):
                        self._take_data(line[5:].strip())
                return self._fold.facts()
            if self._sort == "text":
                return self._endpoint.read(whole.decode("utf-8", "replace"), self._provider)
            return self._endpoint.read(json.loads(whole), self._provider)
        except Exception:  # half a body, an unknown encoding
            return Facts()


def whole_body(response: Any, endpoint: Endpoint, provider: str | None) -> Facts:
    """What the body of a response says that the SDK has read already."""
    body = Body(response, endpoint, provider)
    content = response.content
    if body._sort == "encoded events":
        body._sort = "events"
    if body._sort in ("events", "sound"):
        body.take(content if content.endswith(b"\n") else content + b"\n" if body._sort == "events" else content)
        return body.facts()
    try:
        text = body._sort == "text"
        return endpoint.read(response.text if text else json.loads(content), provider)
    except Exception:  # what the provider calls JSON
        return Facts()


def _sort(headers: Any) -> str:
    kind = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    encoded = headers.get("content-encoding", "identity") != "identity"
    if kind == "text/event-stream":
        return "encoded events" if encoded else "events"
    if kind.endswith("json"):
        return "json"
    return "text" if kind.startswith("text/") or kind == "application/x-subrip" else "sound"
