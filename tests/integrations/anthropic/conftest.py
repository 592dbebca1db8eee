"""A server that answers as Anthropic does, clients on it, and a capture of what they do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("anthropic")

import treerings
from anthropic import Anthropic, AsyncAnthropic
from treerings.testing import Capture, ModelServer, capture


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities, for 70 ms; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    """What is recorded while the integration is on."""
    treerings.instrument("anthropic")
    with capture() as captured:
        yield captured
    treerings.uninstrument("anthropic")


@pytest.fixture
def client(server: ModelServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="sk-ant-secret", max_retries=0) as client:
        yield client


@pytest.fixture
def run(server: ModelServer) -> Iterator[Callable[[Callable[[AsyncAnthropic], Any]], Any]]:
    """Runs a coroutine function with an asynchronous client: `run(lambda client: ask(client))`."""
    with asyncio.Runner() as runner:

        async def main(work: Callable[[AsyncAnthropic], Any]) -> Any:
            async with AsyncAnthropic(base_url=server.url, api_key="sk-ant-secret", max_retries=0) as client:
                return await work(client)

        yield lambda work: runner.run(main(work))
