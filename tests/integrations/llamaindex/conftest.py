"""A model server, models, an index on it, and a capture, with LlamaIndex instrumented."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("llama_index.llms.openai")
pytest.importorskip("llama_index.embeddings.openai")

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from llamaindex_samples import ring_count
from treerings.testing import Capture, ModelServer, capture
from treerings_llamaindex import integration
from treerings_llamaindex.handlers import TRANSLATOR

SHARED = ssl.create_default_context()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are words, so that no tokenizer is loaded; the certificates of all authorities are read once."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(ssl, "create_default_context", lambda *_args, **_options: SHARED)
    Settings.tokenizer = str.split


@pytest.fixture(scope="session", autouse=True)
def frozen() -> Iterator[None]:
    """Collections look at what the tests made, not at the modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(default="112 rings.") as server:
        yield server


@pytest.fixture
def model(server: ModelServer) -> Callable[..., OpenAI]:
    """Makes models on the server: `model(temperature=0.5)`."""

    def make(**options: Any) -> OpenAI:
        given = {"model": "gpt-4o-mini", "api_base": server.base_url, "api_key": "unused", "max_retries": 0, **options}
        return OpenAI(**given)

    return make


@pytest.fixture
def embeddings(server: ModelServer) -> OpenAIEmbedding:
    return OpenAIEmbedding(api_base=server.base_url, api_key="unused", max_retries=0, model="text-embedding-3-small")


@pytest.fixture
def index(embeddings: OpenAIEmbedding) -> VectorStoreIndex:
    """Two documents, indexed before anything is captured."""
    documents = [Document(text="Oaks grow old.", id_="oaks"), Document(text="Firs grow tall.", id_="firs")]
    return VectorStoreIndex.from_documents(documents, embed_model=embeddings)


@pytest.fixture
def captured(request: pytest.FixtureRequest) -> Iterator[Capture]:
    if "index" in request.fixturenames:
        request.getfixturevalue("index")  # made before anything is recorded
    with capture() as captured:
        integration.instrument()
        yield captured
        integration.uninstrument()
    TRANSLATOR.clear()


@pytest.fixture
def agent(model: Callable[..., OpenAI]) -> Callable[..., FunctionAgent]:
    """Makes agents that count rings."""

    def make(**options: Any) -> FunctionAgent:
        given = {"name": "counter", "description": "Counts rings.", "tools": [ring_count], "llm": model(), **options}
        return FunctionAgent(**given)

    return make
