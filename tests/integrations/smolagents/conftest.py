"""A model server, models on it, and a capture, with smolagents instrumented."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

pytest.importorskip("smolagents")
pytest.importorskip("openai")

from smolagents import OpenAIModel
from treerings.testing import Capture, ModelServer, capture
from treerings_smolagents import integration
from treerings_smolagents.runs import RUNS


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates of all authorities are read once: nothing here speaks TLS."""
    monkeypatch.setattr(ssl, "create_default_context", lambda *_args, **_options: SHARED)


SHARED = ssl.create_default_context()


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
    kept = len(RUNS)
    RUNS.clear()
    assert kept == 0, "runs were kept after the test"


@pytest.fixture
def model(server: ModelServer) -> OpenAIModel:
    return OpenAIModel("gpt-4o-mini", api_base=server.base_url, api_key="unused", client_kwargs={"max_retries": 0})
