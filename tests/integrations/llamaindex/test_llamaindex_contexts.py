"""One tree with other sources: own steps, LangChain, the OpenAI SDK, threads, labels, and the scope of a recording."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import treerings
from llama_index.core import VectorStoreIndex
from llama_index.llms.openai import OpenAI
from llamaindex_samples import QUERY, asks_once
from treerings.testing import Capture, ModelServer, ToolCall, capture
from treerings_llamaindex import integration, recording

Models = Callable[..., OpenAI]


def indented(outline: str, depth: int) -> list[str]:
    return ["  " * depth + line for line in outline.splitlines()]


def ask(agent: Any) -> Any:
    async def run() -> Any:
        return await agent.run("How old?")

    return asyncio.run(run())


def test_a_query_joins_an_own_step(captured: Capture, index: VectorStoreIndex, model: Models) -> None:
    with treerings.step("workflow", "survey"):
        index.as_query_engine(llm=model()).query("How old?")

    assert captured.outline().splitlines() == ["workflow survey", *indented(QUERY, 1)]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_own_step_in_a_tool_joins_the_agent(
    captured: Capture, model: Models, server: ModelServer, agent: Callable[..., Any], asynchronous: bool
) -> None:
    def look(tree: str) -> str:
        """Look."""
        with treerings.step("task", "measure"):
            return str(model().complete(tree))

    async def alook(tree: str) -> str:
        """Look."""
        with treerings.step("task", "measure"):
            return str(await model().acomplete(tree))

    tool = alook if asynchronous else look
    server.reply(asks_once(ToolCall(tool.__name__, {"tree": "oak"})), times=None)
    ask(agent(tools=[tool]))

    assert captured.outline().splitlines() == [
        "agent counter",
        "  llm OpenAI",
        f"  tool {tool.__name__}",
        "    task measure",
        "      llm OpenAI",
        "  llm OpenAI",
    ]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_chain_of_langchain_in_a_tool_joins_the_agent(
    captured: Capture, server: ModelServer, agent: Callable[..., Any], asynchronous: bool
) -> None:
    langchain_openai = pytest.importorskip("langchain_openai")
    chat = langchain_openai.ChatOpenAI(base_url=server.base_url, api_key="unused", model="gpt-4o-mini")
    treerings.instrument("langchain")

    def look(tree: str) -> str:
        """Look."""
        return str(chat.invoke(tree).content)

    async def alook(tree: str) -> str:
        """Look."""
        return str((await chat.ainvoke(tree)).content)

    tool = alook if asynchronous else look
    server.reply(asks_once(ToolCall(tool.__name__, {"tree": "oak"})), times=None)
    ask(agent(tools=[tool]))

    assert captured.outline(show=("source",)).splitlines() == [
        "agent counter source=llamaindex",
        "  llm OpenAI source=llamaindex",
        f"  tool {tool.__name__} source=llamaindex",
        "    llm ChatOpenAI source=langchain",
        "  llm OpenAI source=llamaindex",
    ]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_query_in_a_tool_of_langchain_joins_its_tree(
    captured: Capture, index: VectorStoreIndex, model: Models, asynchronous: bool
) -> None:
    tools = pytest.importorskip("langchain_core.tools")
    treerings.instrument("langchain")
    engine = index.as_query_engine(llm=model())

    def look(tree: str) -> str:
        """Look."""
        return str(engine.query(tree))

    async def alook(tree: str) -> str:
        """Look."""
        return str(await engine.aquery(tree))

    tool = tools.StructuredTool.from_function(look, coroutine=alook)
    asyncio.run(tool.ainvoke({"tree": "oak"})) if asynchronous else tool.invoke({"tree": "oak"})

    assert captured.outline().splitlines() == ["tool look", *indented(QUERY, 1)]


def test_an_agent_in_a_tool_of_langchain_joins_its_tree(
    captured: Capture, server: ModelServer, agent: Callable[..., Any]
) -> None:
    tools = pytest.importorskip("langchain_core.tools")
    treerings.instrument("langchain")
    server.reply(asks_once(ToolCall("ring_count", {"tree": "oak"})), times=None)

    async def alook(tree: str) -> str:
        """Look."""
        return str(await agent().run(tree))

    asyncio.run(tools.StructuredTool.from_function(coroutine=alook, name="look").ainvoke({"tree": "oak"}))

    expected = ["tool look", "  agent counter", "    llm OpenAI", "    tool ring_count", "    llm OpenAI"]
    assert captured.outline().splitlines() == expected


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_call_that_the_sdk_records_too_is_counted_once(
    captured: Capture, model: Models, server: ModelServer, asynchronous: bool, streaming: bool
) -> None:
    pytest.importorskip("treerings_openai.integration")
    treerings.instrument("openai")
    llm = model(additional_kwargs={"stream_options": {"include_usage": True}})

    async def run() -> None:
        if streaming:
            async for _ in await llm.astream_complete("How old?"):
                pass
        else:
            await llm.acomplete("How old?")

    if asynchronous:
        asyncio.run(run())
    elif streaming:
        list(llm.stream_complete("How old?"))
    else:
        llm.complete("How old?")

    assert [(step.kind, step.source, step.counted) for step in captured.workflow.steps] == [
        ("llm", "llamaindex", False),
        ("llm", "openai", True),
    ]
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_an_embedding_that_the_sdk_records_too_has_its_usage(
    captured: Capture, embeddings: Any, server: ModelServer
) -> None:
    pytest.importorskip("treerings_openai.integration")
    treerings.instrument("openai")
    embeddings.get_query_embedding("old trees")

    assert captured.outline(show=("source",)).splitlines()[0] == "embedding OpenAIEmbedding source=llamaindex"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_a_thread_pool_without_context_begins_its_own_tree_and_carry_joins_it(captured: Capture, model: Models) -> None:
    with treerings.step("workflow", "survey"), ThreadPoolExecutor(1) as pool:
        pool.submit(model().complete, "alone").result()
        pool.submit(treerings.carry(model().complete), "carried").result()

    assert sorted(captured.outline().split("\n\n")) == ["llm OpenAI", "workflow survey\n  llm OpenAI"]


def test_carry_takes_a_tools_step_into_a_bare_thread(
    captured: Capture, model: Models, server: ModelServer, agent: Callable[..., Any]
) -> None:
    def look(tree: str) -> str:
        """Look."""
        thread = threading.Thread(target=treerings.carry(lambda: model().complete(tree)))
        thread.start()
        thread.join()
        return tree

    server.reply(asks_once(ToolCall("look", {"tree": "oak"})), times=None)
    ask(agent(tools=[look]))

    expected = ["agent counter", "  llm OpenAI", "  tool look", "    llm OpenAI", "  llm OpenAI"]
    assert captured.outline().splitlines() == expected


def test_labels_reach_an_agents_steps(captured: Capture, agent: Callable[..., Any]) -> None:
    with treerings.labels(session_id="s-41", team="growth"):
        ask(agent())

    assert {step.session_id for step in captured.steps} == {"s-41"}
    assert {step.labels.get("team") for step in captured.steps} == {"growth"}


def test_a_recording_has_what_begins_inside_it(
    index: VectorStoreIndex, model: Models, agent: Callable[..., Any]
) -> None:
    engine = index.as_query_engine(llm=model(), streaming=True)
    with capture() as captured:
        model().complete("before")
        with recording():
            answer: Any = engine.query("How old?")
            ask(agent())
        model().complete("after")
        assert str(answer) == "112 rings."  # read after the block
    integration.uninstrument()

    assert captured.outline() == f"{QUERY}\n\nagent counter\n  llm OpenAI"
