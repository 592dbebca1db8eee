"""Embeddings have no callbacks: their methods are wrapped while LangChain is instrumented."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from pydantic import BaseModel
from treerings.testing import Capture, ModelServer
from treerings_langchain import integration


class Fixed(Embeddings):
    """Embeds everything at one place; asynchronous calls fall back to a thread."""

    model = "text-embedding-3-small"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class Louder(Fixed):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return super().embed_documents([text.upper() for text in texts])


class Wrapping(Embeddings):
    """Passes its work on, as a cache does."""

    def __init__(self, inner: Embeddings) -> None:
        self.inner = inner

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.inner.embed_query(text)


class Failing(Fixed):
    def embed_query(self, text: str) -> list[float]:
        raise ConnectionError("no way there")


@pytest.fixture(autouse=True)
def instrumented(captured: Capture) -> Iterator[None]:
    integration.instrument()
    yield
    integration.uninstrument()


@pytest.mark.parametrize("embeddings", [Fixed(), Louder()])
def test_a_call_is_one_step_however_many_methods_it_takes(captured: Capture, embeddings: Embeddings) -> None:
    embeddings.embed_query("oak")

    assert captured.outline() == f"embedding {type(embeddings).__name__}"


def test_the_asynchronous_default_is_one_step(captured: Capture) -> None:
    asyncio.run(Fixed().aembed_documents(["oak", "elm"]))

    step = captured.step("embedding")
    assert (step.input, step.output) == (["oak", "elm"], {"vectors": 2, "dimensions": 2})


def test_tokens_are_estimated_and_say_so(captured: Capture) -> None:
    Fixed().embed_query("one ring for each year")

    step = captured.step("embedding")
    assert step.estimated
    assert step.usage is not None
    assert step.usage.input_tokens


def test_a_wrapper_is_no_second_call(captured: Capture) -> None:
    Wrapping(Fixed()).embed_query("oak")

    assert captured.outline() == "embedding Fixed"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_openais_embeddings(captured: Capture, server: ModelServer, asynchronous: bool) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=server.base_url, api_key="unused", model="text-embedding-3-small", check_embedding_ctx_length=False
    )

    if asynchronous:
        asyncio.run(embeddings.aembed_query("oak"))
    else:
        embeddings.embed_query("oak")

    step = captured.step("embedding")
    assert (step.name, step.model, step.provider) == ("OpenAIEmbeddings", "text-embedding-3-small", "openai")
    assert step.cost_usd


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_embedding_in_a_retriever_hangs_under_it(captured: Capture, asynchronous: bool) -> None:
    retriever = InMemoryVectorStore(Fixed()).as_retriever()
    chain = RunnableLambda(lambda question: question) | retriever

    if asynchronous:
        asyncio.run(chain.ainvoke("oak"))
    else:
        chain.invoke("oak")

    assert captured.outline() == (
        "workflow RunnableSequence\n  chain RunnableLambda\n  retriever VectorStoreRetriever\n    embedding Fixed"
    )


def test_a_failing_call_is_an_error_and_raises(captured: Capture) -> None:
    with pytest.raises(ConnectionError):
        Failing().embed_query("oak")

    step = captured.step("embedding")
    assert (step.status, step.error_type, step.cost_usd) == ("error", "ConnectionError", None)


def test_a_class_made_later_is_recorded_too(captured: Capture) -> None:
    class Later(Fixed):
        def embed_query(self, text: str) -> list[float]:
            return [0.0]

    Later().embed_query("oak")

    assert captured.outline() == "embedding Later"


def test_a_pydantic_class_made_later_is_recorded_too(captured: Capture) -> None:
    class Later(BaseModel, Embeddings):
        model: str = "m"

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[0.0] for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            return [0.0]

    Later().embed_query("oak")

    assert captured.step("embedding", "Later").model == "m"


def test_another_class_hook_still_runs() -> None:
    told: list[str] = []

    class Registering:
        def __init_subclass__(cls, *, key: str, **options: Any) -> None:
            super().__init_subclass__(**options)
            told.append(key)

    class Later(Fixed, Registering, key="mine"):
        pass

    assert told == ["mine"]


def test_signatures_stay_as_they_are() -> None:
    assert list(inspect.signature(Fixed.embed_documents).parameters) == ["self", "texts"]
    assert inspect.iscoroutinefunction(Fixed.aembed_query)


def test_uninstrumenting_gives_the_methods_back() -> None:
    wrapped = Fixed.embed_query
    integration.uninstrument()

    assert Fixed.embed_query is wrapped.__wrapped__  # type: ignore[attr-defined]
    assert "__init_subclass__" not in vars(Embeddings)
    assert not hasattr(DeterministicFakeEmbedding.embed_query, "__wrapped__")


def test_instrumenting_twice_wraps_once(captured: Capture) -> None:
    integration.instrument()

    Fixed().embed_query("oak")

    assert not hasattr(Fixed.embed_query.__wrapped__, "__wrapped__")  # type: ignore[attr-defined]
    assert captured.outline() == "embedding Fixed"


def test_nothing_is_recorded_after_it_was_undone(captured: Capture) -> None:
    integration.uninstrument()

    Fixed().embed_query("oak")

    assert captured.workflows == []
