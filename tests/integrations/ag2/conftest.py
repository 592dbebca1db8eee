"""A model server, a model configuration on it, an instrumented ag2 and a capture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("ag2")

from treerings.testing import Capture, ModelServer, capture
from treerings_ag2 import integration
from treerings_ag2.runs import RUNS
from treerings_ag2.served import ServedConfig


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def config(server: ModelServer) -> ServedConfig:
    return ServedConfig(server.base_url)


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        yield captured


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    integration.instrument()
    yield
    integration.uninstrument()
    kept = len(RUNS)
    RUNS.clear()
    assert kept == 0, "turns were kept after the test"
