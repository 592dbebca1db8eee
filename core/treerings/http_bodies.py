"""Following the body of an HTTP response without reading it: the responses of httpx, and of what is made like it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .streams import AsyncFollowed, Collector, Followed

__all__ = ["decoded", "follow_body", "tell_when_left"]


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
