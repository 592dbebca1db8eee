"""One model server and one event loop for every cell of a module."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator

import pytest
from matrix_cell import answer
from treerings.testing import ModelServer


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(default=answer) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        patch.delenv("OPENAI_API_KEY", raising=False)  # with it, the Agents SDK sends its traces
        gc.freeze()
        yield
        gc.unfreeze()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner
