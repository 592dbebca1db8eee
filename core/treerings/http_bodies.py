"""Following the body of an HTTP response without reading it: the responses of httpx, and of what is made like it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .streams import AsyncFollowed, Collector, Followed
from .usage_formats.events import parse

__all__ = ["BodyReader", "decoded", "follow_body", "tell_when_left"]

MAX_BYTES = 32 * 1024 * 1024
"""So much of a body is kept to be read; of a longer one only the size is known. Streams are read as they come."""


def follow_body(response: Any, collector: Collector) -> bool:
    """Show the chunks of bytes to `collector` as the consumer takes them, as they came: see `decoded`.

    False for a response that has been read already, and for what is no such response.
    """
    stream: Any = getattr(response, "stream", None)
    if getattr(response, "is_stream_consumed", True) or getattr(response, "is_closed", True):
        return False
    followed: Followed | AsyncFollowed
    if _is(stream, "AsyncByteStream"):
        followed = AsyncFollowed(aiter(stream), collector)
    elif _is(stream, "SyncByteStream"):
        followed = Followed(iter(stream), collector)
    else:
        return False
    response.stream = _body(type(stream))(stream, followed, followed)
    return True


def tell_when_left(response: Any, followed: Followed | AsyncFollowed) -> bool:
    """Have `followed.left()` called when the response is closed, whoever closes it. False as for `follow_body`."""
    stream: Any = getattr(response, "stream", None)
    if not (_is(stream, "SyncByteStream") or _is(stream, "AsyncByteStream")):
        return False
    response.stream = _body(type(stream))(stream, stream, followed)
    return True


def decoded(response: Any, raw: bytes) -> bytes:
    """What these bytes of the body say, by the response's `content-encoding`. Raises what the decoder raises."""
    encoding = response.headers.get("content-encoding")
    if not encoding or encoding == "identity":
        return raw
    content = type(response)(200, headers={"content-encoding": encoding}, content=raw).content
    return content if isinstance(content, bytes) else raw


class BodyReader:
    """What a body of a model's answer says: a stream of events, JSON, a text, or sound.

    `take_event` is shown the events, as JSON, and says whether one was output: at once, or in `content` where they come
    compressed or in frames. `kind` is `events`, `json`, `text` or `bytes`, of which the `size` is kept only.
    """

    __slots__ = ("_at_once", "_chunks", "_line", "_response", "_take_event", "done", "kind", "size")

    def __init__(self, response: Any, take_event: Callable[[Any], bool]) -> None:
        self._response = response
        self._take_event = take_event
        self._chunks: list[bytes] = []
        self._line = b""
        self.kind, self._at_once = _kind(response.headers)
        self.size = 0
        self.done = False
        """Whether the event came that ends a stream in OpenAI's format."""

    def take(self, chunk: bytes) -> bool:
        """Take the next bytes, as they come over the wire; whether output was in them."""
        self.size += len(chunk)
        if self._at_once:
            return self._take_lines(chunk)
        if self.kind == "bytes":
            return True
        if self.size > MAX_BYTES:
            self._chunks.clear()
        else:
            self._chunks.append(chunk)
        return False

    def _take_lines(self, chunk: bytes) -> bool:
        *lines, self._line = (self._line + chunk).split(b"\n")
        if len(self._line) > MAX_BYTES:
            self._line = b""
        spoken = False
        for line in lines:
            if line.startswith(b"data:"):
                spoken = self._take_data(line[5:].strip()) or spoken
        return spoken

    def _take_data(self, data: bytes) -> bool:
        if data.startswith(b"[DONE]"):
            self.done = True
            return False
        try:
            event = json.loads(data)
        except ValueError:  # the SDK will say so
            return False
        return self._take_event(event)

    def content(self) -> Any:
        """What came, at the end: the JSON, the text; None for events, for sound and for what was cut or is too long."""
        if self._at_once or self.kind == "bytes" or not self._chunks:
            return None
        try:
            return self._read(decoded(self._response, b"".join(self._chunks)))
        except Exception:  # half a body, an unknown encoding
            return None

    def content_of_whole(self) -> Any:
        """`content`, of a response that has been read already."""
        whole = self._response.content
        self.size = len(whole)
        try:
            return None if self.kind == "bytes" else self._read(whole)
        except Exception:  # what the provider calls JSON
            return None

    def _read(self, body: bytes) -> Any:
        if self.kind == "json":
            return json.loads(body)
        if self.kind == "text":
            return body.decode("utf-8", "replace")
        for event in parse(body):
            self._take_event(event)
        return None


def _kind(headers: Any) -> tuple[str, bool]:
    """What a body is, and whether its events can be read as they come."""
    kind = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return "events", headers.get("content-encoding", "identity") == "identity"
    if kind.endswith("eventstream"):  # frames, of Bedrock
        return "events", False
    if kind.endswith("json"):
        return "json", False
    return ("text" if kind.startswith("text/") or kind == "application/x-subrip" else "bytes"), False


def _is(stream: Any, name: str) -> bool:
    return any(base.__name__ == name for base in type(stream).__mro__)


_bodies: dict[type, type] = {}


def _body(kind: type) -> type:
    """A class that the HTTP library takes for one of its own streams of this kind; made once for each kind there is."""
    known = _bodies.get(kind)
    if known is not None:
        return known
    bases = [base for base in kind.__mro__ if base.__name__ in ("AsyncByteStream", "SyncByteStream")]
    parts = [_AsyncBody if base.__name__ == "AsyncByteStream" else _SyncBody for base in bases]
    _bodies[kind] = made = type("FollowedBody", (*parts, *bases), {})
    return made


class _Body:
    def __init__(self, stream: Any, chunks: Any, followed: Followed | AsyncFollowed) -> None:
        self._stream = stream
        self._chunks = chunks
        self._followed = followed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_stream"], name)

    def _read_as(self, kind: type[Followed] | type[AsyncFollowed], begin: Callable[[Any], Any]) -> Any:
        """The followed chunks, for a stream that can be read in both ways as they are asked for."""
        if isinstance(self._chunks, Followed | AsyncFollowed) and not isinstance(self._chunks, kind):
            self._followed = self._chunks = kind(begin(self._stream), self._chunks.hand_over())
        return self._chunks


class _SyncBody(_Body):
    def __iter__(self) -> Iterator[bytes]:
        return iter(self._read_as(Followed, iter))

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._followed.left()


class _AsyncBody(_Body):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._read_as(AsyncFollowed, aiter))

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._followed.left()
