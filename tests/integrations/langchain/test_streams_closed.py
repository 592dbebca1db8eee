"""Streams: read to the end, broken off, or never read."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from treerings.testing import Capture, ModelServer

TEXT = "one ring for each year of its life"


class State(TypedDict, total=False):
    text: str


def test_a_stream_that_is_read_is_ok_with_its_input_and_usage(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT)
    chain = RunnableLambda(lambda text: text) | model(stream_usage=True) | StrOutputParser()

    answer = "".join(chain.stream("how old?", traced))

    assert answer == TEXT
    assert captured.outline() == "workflow RunnableSequence\n  chain RunnableLambda\n  llm ChatOpenAI"
    assert captured.workflow.steps[0].input == "how old?"
    assert captured.workflow.totals.output_tokens == server.usage_served.output_tokens


def test_a_sync_stream_closed_early_is_cancelled_and_the_model_call_has_its_true_usage(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT)
    chain = RunnableLambda(lambda text: text) | model(stream_usage=True) | StrOutputParser()

    stream = chain.stream("how old?", traced)
    next(stream)
    stream.close()
    gc.collect()

    root = captured.workflow.steps[0]
    call = captured.step("llm")
    assert (root.status, root.attributes["closed_early"]) == ("cancelled", True)
    assert call.status == "ok"
    assert call.usage is not None
    assert call.usage.output_tokens == server.usage_served.output_tokens


def test_an_async_stream_broken_off_is_cancelled(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT)
    chain = RunnableLambda(lambda text: text) | model() | StrOutputParser()

    async def main() -> None:
        async for _ in chain.astream("how old?", traced):
            break

    asyncio.run(main())
    gc.collect()

    assert captured.workflow.status == "cancelled"
    assert captured.step("llm").status == "cancelled"


def test_a_graph_stream_closed_early_is_cancelled(captured: Capture, traced: dict[str, Any]) -> None:
    graph = (
        StateGraph(State)
        .add_node("a", lambda state: {"text": "a"})
        .add_node("b", lambda state: {"text": "b"})
        .add_edge(START, "a")
        .add_edge("a", "b")
        .compile()
    )

    stream = graph.stream({"text": ""}, traced)
    next(stream)
    stream.close()

    assert captured.outline() == "workflow LangGraph cancelled\n  node a"


def test_a_model_stream_closed_early_at_the_root_is_cancelled(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT)

    stream = model().stream("how old?", traced)
    next(stream)
    stream.close()

    assert captured.outline() == "llm ChatOpenAI cancelled"


def test_a_stream_that_nobody_reads_is_closed_at_the_end(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT)
    stream = (RunnableLambda(lambda text: text) | model()).stream("how old?", traced)
    next(stream)

    captured.finish()

    assert captured.workflow.status == "incomplete"
    assert captured.step("llm").status == "incomplete"
    stream.close()


def test_a_dropped_stream_that_was_not_read_ends_when_it_is_collected(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT)
    stream = (RunnableLambda(lambda text: text) | model()).stream("how old?", traced)
    next(stream)

    del stream
    gc.collect()

    assert captured.workflow.status == "cancelled"


def test_a_connection_that_breaks_in_a_stream_is_an_error_with_what_was_said(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.drop(after_chunks=4, text=TEXT)

    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever the client makes of it
        list((RunnableLambda(lambda text: text) | model()).stream("how old?", traced))

    call = captured.step("llm")
    assert (captured.workflow.status, call.status) == ("error", "error")
    assert call.output["content"].startswith("one")


def test_a_stream_of_an_agent_is_one_tree(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say(TEXT, times=3)
    agent = create_agent(model(), [], name="bob")
    question: Any = {"messages": [("user", "how old?")]}

    async def read() -> None:
        async for _ in agent.astream(question, traced, stream_mode="messages"):
            pass
        async for _ in agent.astream_events(question, traced, version="v2"):
            pass

    list(agent.stream(question, traced))
    asyncio.run(read())

    assert captured.outline() == "\n\n".join(["agent bob\n  node model\n    llm ChatOpenAI"] * 3)
