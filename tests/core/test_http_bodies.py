"""Bodies of HTTP responses that are followed and not read."""

from __future__ import annotations

import gc
import gzip
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("httpx")

import httpx
from treerings import Kind, Status
from treerings.http_bodies import BodyReader, decoded, follow_body
from treerings.testing import Capture, capture
from treerings.wrapping import Call


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class Sizes(Call):
    __slots__ = ("size",)

    complete = False

    def take(self, item: bytes) -> bool:
        self.size = getattr(self, "size", 0) + len(item)
        return True

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        self.end(status=status, error=error, time_ns=time_ns, output=getattr(self, "size", 0))


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        yield captured


def sizes() -> Sizes:
    started = Sizes.start(Kind.LLM, "answer", source="library")
    assert started is not None
    return started


def test_a_body_that_is_read_is_seen_on_its_way(captured: Capture) -> None:
    stream = Parts(b"abc", b"de")
    response = httpx.Response(200, stream=stream)
    assert follow_body(response, sizes())
    assert response.read() == b"abcde"
    assert stream.closed
    assert (captured.step("llm").status, captured.step("llm").output) == ("ok", 5)


async def test_an_asynchronous_body_too(captured: Capture) -> None:
    stream = Parts(b"abc", b"de")
    response = httpx.Response(200, stream=stream)
    assert follow_body(response, sizes())
    assert [part async for part in response.aiter_raw()] == [b"abc", b"de"]
    assert stream.closed
    assert (captured.step("llm").status, captured.step("llm").output) == ("ok", 5)


def test_a_body_that_is_closed_or_let_go_unread_is_cancelled(captured: Capture) -> None:
    closed, dropped = httpx.Response(200, stream=Parts(b"abc")), httpx.Response(200, stream=Parts(b"abc"))
    assert follow_body(closed, sizes())
    closed.close()
    assert follow_body(dropped, sizes())
    del dropped
    gc.collect()
    captured.finish()
    assert [step.status for step in captured.steps] == ["cancelled", "cancelled"]


def test_a_body_that_was_read_already_is_left_alone(captured: Capture) -> None:
    response = httpx.Response(200, content=b"abc")
    stream = response.stream
    assert not follow_body(response, sizes())
    assert not follow_body(object(), sizes())
    assert response.stream is stream


def test_a_followed_response_can_be_pickled(captured: Capture) -> None:
    response = httpx.Response(200, stream=Parts(b"abc"))
    follow_body(response, sizes())
    response.read()
    assert pickle.loads(pickle.dumps(response)).content == b"abc"


def test_encoded_bytes_are_decoded_as_the_response_says() -> None:
    response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Parts())
    assert decoded(response, gzip.compress(b"abc")) == b"abc"
    assert decoded(httpx.Response(200), b"abc") == b"abc"


def reader(kind: str, events: list[Any], **headers: str) -> BodyReader:
    response = httpx.Response(200, headers={"content-type": kind, **headers}, stream=Parts())

    def take(event: Any) -> bool:
        events.append(event)
        return "text" in event

    return BodyReader(response, take)


def test_events_are_read_as_they_come_also_where_a_chunk_cuts_one() -> None:
    events: list[Any] = []
    body = reader("text/event-stream; charset=utf-8", events)
    assert [body.take(chunk) for chunk in (b'data: {"a": 1}\n\nda', b'ta: {"text": "o', b'ak"}\n\n')] == [
        False,
        False,
        True,
    ]
    assert events == [{"a": 1}, {"text": "oak"}]
    assert (body.content(), body.done) == (None, False)
    body.take(b"data: [DONE]\n\n")
    assert body.done


def test_compressed_events_are_read_at_the_end() -> None:
    events: list[Any] = []
    body = reader("text/event-stream", events, **{"content-encoding": "gzip"})
    assert not body.take(gzip.compress(b'data: {"text": "oak"}\n\n'))
    assert events == []
    assert body.content() is None
    assert events == [{"text": "oak"}]


@pytest.mark.parametrize(
    ("kind", "body", "content"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/vnd.api+json", b"[1]", [1]),
        ("text/plain", b"An oak.", "An oak."),
        ("application/json", b'{"a": ', None),
        ("audio/mpeg", b"abc", None),
    ],
)
def test_other_bodies_are_what_they_say_at_their_end(kind: str, body: bytes, content: Any) -> None:
    coming = reader(kind, [])
    for place in range(len(body)):
        coming.take(body[place : place + 1])
    whole = BodyReader(httpx.Response(200, headers={"content-type": kind}, content=body), bool)
    assert (coming.content(), whole.content_of_whole()) == (content, content)
    assert (coming.size, whole.size) == (len(body), len(body))


def test_of_a_body_that_is_too_long_only_the_size_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treerings.http_bodies.MAX_BYTES", 4)
    body = reader("application/json", [])
    body.take(b"[1, ")
    body.take(b"2]")
    assert (body.content(), body.size, body._chunks) == (None, 6, [])
