"""LangChain on OpenAI's SDK, both captured: one tree, every call counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_openai")

import treerings
from langchain_core.messages import BaseMessageChunk, HumanMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from treerings.testing import Capture, ModelServer, capture
from treerings_langchain.translate import RUNS


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        treerings.instrument("langchain", "openai")
        yield captured
        treerings.uninstrument("langchain", "openai")
    RUNS.clear()


@pytest.fixture
def model(server: ModelServer) -> Callable[..., ChatOpenAI]:
    def make(**options: Any) -> ChatOpenAI:
        return ChatOpenAI(base_url=server.base_url, api_key="unused", model="gpt-4o-mini", max_retries=0, **options)

    return make


def stream(runnable: Runnable[Any, Any], question: str) -> BaseMessageChunk:
    chunks = list(runnable.stream(question))
    return chunks[-1]  # type: ignore[no-any-return]  # a message's chunk


async def astream(runnable: Runnable[Any, Any], question: str) -> None:
    async for _ in runnable.astream(question):
        pass


WAYS: dict[str, Callable[[Runnable[Any, Any], str], Any]] = {
    "invoke": lambda runnable, question: runnable.invoke(question),
    "ainvoke": lambda runnable, question: asyncio.run(runnable.ainvoke(question)),
    "stream": stream,
    "astream": lambda runnable, question: asyncio.run(astream(runnable, question)),
}


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("way", WAYS)
def test_the_sdks_call_is_below_langchains_and_counts_once(
    captured: Capture, server: ModelServer, model: Callable[..., ChatOpenAI], way: str, responses: bool
) -> None:
    server.say("It is 112 years old.")
    WAYS[way](model(stream_usage=True, use_responses_api=responses), "How old is the oak?")
    name = "responses" if responses else "chat.completions"
    assert captured.outline() == f"llm ChatOpenAI\n  llm {name}"
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (
        1,
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )
    assert [step.counted for step in captured.steps] == [False, True]
    assert not captured.steps[1].estimated


def test_a_stream_without_usage_is_estimated_once(
    captured: Capture, server: ModelServer, model: Callable[..., ChatOpenAI]
) -> None:
    server.say("It is 112 years old.")
    stream(model(), "How old is the oak?")
    assert captured.outline() == "llm ChatOpenAI\n  llm chat.completions"
    assert captured.workflow.totals.llm_calls == 1
    assert sum(step.counted for step in captured.steps) == 1


def test_streams_that_are_left_early_are_cancelled_in_both(
    captured: Capture, server: ModelServer, model: Callable[..., ChatOpenAI]
) -> None:
    server.say("It is a very old tree, of 112 years.")
    chunks = model().stream("How old is the oak?")
    next(iter(chunks))
    chunks.close()  # type: ignore[attr-defined]  # a generator
    captured.finish()
    assert captured.outline() == "llm ChatOpenAI cancelled\n  llm chat.completions cancelled"


def test_what_the_consumer_of_a_stream_asks_is_not_the_models(
    captured: Capture, server: ModelServer, model: Callable[..., ChatOpenAI], client: Any
) -> None:
    server.say("It is 112 years old.")
    for index, _ in enumerate(model().stream("How old is the oak?")):
        if index == 1:
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "And the elm?"}])
    assert captured.outline() == "llm ChatOpenAI\n  llm chat.completions\n\nllm chat.completions"


def test_a_batch_of_generate_counts_each_call_once(
    captured: Capture, server: ModelServer, model: Callable[..., ChatOpenAI]
) -> None:
    with treerings.step("chain", "both"):
        model().generate([[HumanMessage("How old is the oak?")], [HumanMessage("And the elm?")]])
    one = "\n  llm ChatOpenAI\n    llm chat.completions"
    assert captured.outline() == f"chain both{one}{one}"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_embeddings_count_once(captured: Capture, server: ModelServer) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=server.base_url, api_key="unused", model="text-embedding-3-small", check_embedding_ctx_length=False
    )
    RunnableLambda(embeddings.embed_query).invoke("oak")
    assert "embedding OpenAIEmbeddings\n" in captured.outline()
    assert "embedding embeddings" in captured.outline()
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_the_sdk_in_a_tool_is_below_the_tool(captured: Capture, server: ModelServer, client: Any) -> None:
    from langchain_core.tools import tool

    @tool
    def ask(question: str) -> str:
        """Ask another model."""
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": question}])
        return str(answer.choices[0].message.content)

    ask.invoke({"question": "How old?"})
    assert captured.outline() == "tool ask\n  llm chat.completions"
