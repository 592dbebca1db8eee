"""ModelServer fails, drops and closes as it is told."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import (
    APIConnectionError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    InternalServerError,
    OpenAI,
    RateLimitError,
)
from treerings.testing.model_script import Failure, ModelServerError
from treerings.testing.model_server import ModelServer

BROKEN_STREAM = (APIConnectionError, httpx.RemoteProtocolError)
"""Older versions of the SDK let httpx speak for itself."""
MESSAGES: list[Any] = [{"role": "user", "content": "How old is this oak?"}]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        yield client


def ask(client: OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, **options)


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (429, RateLimitError), (500, InternalServerError)]
)
def test_a_status_is_the_error_that_the_sdk_makes_of_it(
    server: ModelServer, client: OpenAI, status: int, error: type[APIStatusError]
) -> None:
    server.fail(status, message="slow down", code="mine")

    with pytest.raises(error, match="slow down") as caught:
        ask(client)

    assert caught.value.code == "mine"


def test_a_rate_limit_without_words_has_openais_code(server: ModelServer, client: OpenAI) -> None:
    server.fail(429)

    with pytest.raises(RateLimitError) as caught:
        ask(client)

    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "rate_limit_error")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_sdk_retries_at_once_when_told_to(server: ModelServer, client: OpenAI, status: int) -> None:
    server.fail(status, retry_after=0, times=2).say("at last")

    completion = ask(client.with_options(max_retries=2))

    assert completion.choices[0].message.content == "at last"
    assert len(server.requests) == 3


def test_failed_requests_serve_no_usage(server: ModelServer, client: OpenAI) -> None:
    server.fail(500)

    with pytest.raises(InternalServerError):
        ask(client)

    assert server.usage_served.calls == 0


def test_embeddings_fail_by_a_route_of_their_own(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="embeddings").fail(429)

    with pytest.raises(RateLimitError):
        client.embeddings.create(model="e", input="oak")

    assert client.embeddings.create(model="e", input="oak").data


def test_a_function_may_decide_to_fail(server: ModelServer, client: OpenAI) -> None:
    server.reply(lambda request: Failure(500, "no luck"))

    with pytest.raises(InternalServerError, match="no luck"):
        ask(client)


def test_a_connection_is_dropped_before_any_answer(server: ModelServer, client: OpenAI) -> None:
    server.drop()

    with pytest.raises(APIConnectionError):
        ask(client)


def test_the_sdk_retries_a_dropped_connection(server: ModelServer, client: OpenAI) -> None:
    server.drop().say("second try")

    assert ask(client.with_options(max_retries=1)).choices[0].message.content == "second try"


def test_a_stream_is_dropped_after_the_chunks_that_were_sent(server: ModelServer, client: OpenAI) -> None:
    server.drop(after_chunks=3, text="one two three four")
    received: list[str | None] = []

    def read(stream: Any) -> None:
        for chunk in stream:
            received.append(chunk.choices[0].delta.content)

    with ask(client, stream=True) as stream, pytest.raises(BROKEN_STREAM):
        read(stream)

    assert received == ["", "one ", "two "]


async def test_an_async_stream_is_dropped_after_the_chunks_that_were_sent(server: ModelServer) -> None:
    server.drop(after_chunks=3, text="one two three four")
    received: list[str | None] = []

    async def read(stream: Any) -> None:
        async for chunk in stream:
            received.append(chunk.choices[0].delta.content)

    async with AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(BROKEN_STREAM):
            await read(stream)

    assert received == ["", "one ", "two "]


def test_a_whole_answer_is_dropped_in_its_middle(server: ModelServer, client: OpenAI) -> None:
    server.drop(after_chunks=1)

    with pytest.raises(APIConnectionError):
        ask(client)


def test_a_dropped_stream_serves_no_usage(server: ModelServer, client: OpenAI) -> None:
    server.drop(after_chunks=2)

    with pytest.raises(BROKEN_STREAM), ask(client, stream=True) as stream:
        list(stream)

    assert server.usage_served.calls == 0


def test_closing_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    server = ModelServer()
    server.reply(lambda request: "from a thread")
    port = int(server.url.rpartition(":")[2])
    with OpenAI(base_url=server.base_url, api_key="unused") as client:
        ask(client)

    server.close()

    assert set(threading.enumerate()) == before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_closing_cuts_an_answer_that_waits() -> None:
    server = ModelServer()
    arrived = threading.Event()
    server.when(lambda request: arrived.set() is None).say("never", delay=3600)
    failed: list[Exception] = []

    def call() -> None:
        with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
            try:
                ask(client)
            except APIConnectionError as error:
                failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert arrived.wait(10)
    server.close()
    caller.join(10)

    assert len(failed) == 1


def test_closing_twice_is_closing_once() -> None:
    server = ModelServer()
    server.close()
    server.close()

    assert repr(server) == "ModelServer(closed)"


def test_use_after_the_end_is_an_error_that_says_so() -> None:
    with ModelServer() as server:
        route = server.when(model="m")

    for use in (lambda: server.say("x"), lambda: route.say("x"), lambda: server.base_url, server.__enter__):
        with pytest.raises(ModelServerError, match="This ModelServer is closed"):
            use()


def test_bytes_that_are_not_http_get_a_400(server: ModelServer) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10) as raw:
        raw.sendall(b"hello\r\n\r\n")
        answer = raw.recv(4096)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_chunked_request_body_is_read(server: ModelServer) -> None:
    server.say("x")
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    parts = [b'{"model": "m", "messages": ', b"[]}"]
    connection.request("POST", "/v1/chat/completions", body=iter(parts), encode_chunked=True)
    status = connection.getresponse().status
    connection.close()

    assert status == 200
    assert server.requests[0].model == "m"
