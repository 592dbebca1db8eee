"""A server that answers as Google does, clients on it, and a capture of what they do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("google.genai")

import treerings
from google.genai import Client
from google.genai.types import HttpOptions
from treerings.testing import Capture, ModelServer, capture


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities, for 70 ms; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        yield


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    """What is recorded while the integration is on."""
    treerings.instrument("google")
    with capture() as captured:
        yield captured
    treerings.uninstrument("google")


@pytest.fixture
def client(server: ModelServer) -> Iterator[Client]:
    client = Client(api_key="secret-key", vertexai=False, http_options=HttpOptions(base_url=server.url))
    yield client
    client.close()


@pytest.fixture
def run(client: Client) -> Iterator[Callable[[Callable[[Any], Any]], Any]]:
    """Runs a coroutine function with the asynchronous client: `run(lambda client: ask(client))`."""
    with asyncio.Runner() as runner:

        async def main(work: Callable[[Any], Any]) -> Any:
            try:
                return await work(client.aio)
            finally:
                await client.aio.aclose()

        yield lambda work: runner.run(main(work))
