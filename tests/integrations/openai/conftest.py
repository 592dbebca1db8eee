"""A model server, clients on it and on fixed answers, and a capture for the tests of OpenAI's SDK."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")

import httpx
import openai
import treerings
from openai_asking import Answering, Asking, Chunks
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
