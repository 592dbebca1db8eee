"""A model server, generators on it, and a capture, with haystack instrumented."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"  # read when haystack is imported

pytest.importorskip("haystack")
pytest.importorskip("openai")

from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.utils import Secret
from treerings.testing import Capture, ModelServer, capture
from treerings_haystack import integration

SHARED = ssl.create_default_context()


@pytest.fixture(autouse=True)
def cheap_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates of all authorities are read once: nothing here speaks TLS."""
    monkeypatch.setattr(ssl, "create_default_context", lambda *_args, **_options: SHARED)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        integration.instrument()
        yield captured
        integration.uninstrument()


@pytest.fixture
def generator(server: ModelServer) -> Callable[..., OpenAIChatGenerator]:
    """Makes chat generators on the server."""

    def make(**options: Any) -> OpenAIChatGenerator:
        return OpenAIChatGenerator(
            model="gpt-4o-mini",
            api_base_url=server.base_url,
            api_key=Secret.from_token("unused"),
            max_retries=0,
            **options,
        )

    return make
