"""A model server, clients on it and on fixed answers, and a capture for the tests of OpenAI's SDK."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("openai")

import httpx
import openai
import treerings
from treerings.testing import Capture, ModelServer, capture


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(default="echo") as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    """Everything that clients do, captured."""
    with capture() as captured:
        treerings.instrument("openai")
        yield captured
        treerings.uninstrument("openai")


class Asking:
    """A client that is asked in one way: `ask("chat.completions.create", model=..., messages=...)`.

    Streams are read to their end, and given as lists; so both ways give the same.
    """

    def __init__(self, client: openai.OpenAI | openai.AsyncOpenAI) -> None:
        self.client = client
        self._runner = asyncio.Runner() if isinstance(client, openai.AsyncOpenAI) else None

    def __call__(self, path: str, **options: Any) -> Any:
        method: Any = self.client
        for name in path.split("."):
            method = getattr(method, name)
        if self._runner is not None:
            return self._runner.run(_ask_async(method, options))
        result = method(**options)
        return list(result) if isinstance(result, openai.Stream) else result

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self.client.close())  # type: ignore[arg-type]  # the asynchronous one's
            self._runner.close()
        else:
            self.client.close()


async def _ask_async(method: Any, options: dict[str, Any]) -> Any:
    result = await method(**options)
    return [item async for item in result] if isinstance(result, openai.AsyncStream) else result


@pytest.fixture
def client(server: ModelServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, server: ModelServer) -> Iterator[Asking]:
    kind = openai.OpenAI if request.param == "sync" else openai.AsyncOpenAI
    asking = Asking(kind(base_url=server.base_url, api_key="unused", max_retries=0))
    yield asking
    asking.close()


Answering = Callable[..., Asking]


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in parts, to either kind of client."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part


@pytest.fixture(params=["sync", "async"])
def answering(request: pytest.FixtureRequest) -> Iterator[Answering]:
    """Makes clients that get a fixed answer: `answering(json={...})`, `answering(sse=[...], base_url=...)`."""
    made: list[Asking] = []

    def make(
        *,
        json: Any = None,
        content: bytes | list[bytes] | None = None,
        headers: dict[str, str] | None = None,
        base_url: str = "https://api.openai.com/v1",
    ) -> Asking:
        def respond(_: httpx.Request) -> httpx.Response:
            if json is not None:
                return httpx.Response(200, json=json)
            parts = content if isinstance(content, list) else [content or b""]
            return httpx.Response(200, headers=headers, stream=Chunks(parts))

        transport = httpx.MockTransport(respond)
        client: openai.OpenAI | openai.AsyncOpenAI
        if request.param == "sync":
            client = openai.OpenAI(
                base_url=base_url, api_key="unused", max_retries=0, http_client=httpx.Client(transport=transport)
            )
        else:
            client = openai.AsyncOpenAI(
                base_url=base_url, api_key="unused", max_retries=0, http_client=httpx.AsyncClient(transport=transport)
            )
        made.append(Asking(client))
        return made[-1]

    yield make
    for asking in made:
        asking.close()
