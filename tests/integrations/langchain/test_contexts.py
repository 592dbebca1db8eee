"""Runs whose parent is another tracer's: LangSmith's own runs are not ours, what they enclose stays in our tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypedDict
from unittest import mock

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from treerings.testing import Capture, ModelServer

langsmith = pytest.importorskip("langsmith")


class State(TypedDict, total=False):
    text: str


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


@pytest.fixture
def langsmith_tracing() -> Iterator[None]:
    """LangSmith's tracing, on a client that sends nothing."""
    client = mock.MagicMock(spec=langsmith.Client)
    client.tracing_queue = None
    with langsmith.tracing_context(enabled=True, client=client):
        yield


pytestmark = pytest.mark.usefixtures("langsmith_tracing")


def test_a_chain_in_a_foreign_run_is_a_workflow_that_names_it(captured: Capture, traced: dict[str, Any]) -> None:
    @langsmith.traceable
    def outer(text: str) -> str:
        result: str = (RunnableLambda(str.upper) | RunnableLambda(str.lower)).invoke(text, traced)
        return result

    outer("oak")

    assert captured.outline() == "workflow RunnableSequence\n  chain upper\n  chain lower"
    assert captured.workflow.steps[0].attributes["external_parent_id"]


def test_a_foreign_run_inside_a_step_does_not_break_the_tree(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say("ninety")

    @langsmith.traceable
    def between(text: str) -> str:
        return str(model().invoke(text).text)

    @langsmith.traceable
    async def abetween(text: str) -> str:
        return str((await model().ainvoke(text)).text)

    def ask(state: State) -> State:
        return {"text": between("how old?")}

    async def aask(state: State) -> State:
        return {"text": await abetween("how old?")}

    graph = StateGraph(State).add_node("ask", RunnableLambda(ask, aask)).add_edge(START, "ask").compile()

    invoke(graph, {"text": ""})

    assert captured.outline() == "workflow LangGraph\n  node ask\n    llm ChatOpenAI"


def test_an_agent_with_middleware_stays_whole_beside_langsmith(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    class Around(AgentMiddleware[Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request)

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            return await handler(request)

        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return handler(request)

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            return await handler(request)

    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    invoke(create_agent(model(), [measure], middleware=[Around()], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool measure\n  node model\n    llm ChatOpenAI"
    )


def test_concurrent_chains_in_foreign_runs_do_not_mix(captured: Capture, traced: dict[str, Any]) -> None:
    @langsmith.traceable
    async def outer(name: str) -> None:
        chain = RunnableLambda(str.upper) | RunnableLambda(str.lower)
        await chain.with_config(run_name=name).ainvoke(name, traced)

    async def main() -> None:
        await asyncio.gather(*(outer(f"w{number}") for number in range(10)))

    asyncio.run(main())

    assert sorted(captured.outline().split("\n\n")) == sorted(
        f"workflow w{number}\n  chain upper\n  chain lower" for number in range(10)
    )


def test_fallbacks_stay_whole_beside_langsmith(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.when(model="small").fail(500)
    server.say("ninety")

    invoke(model(model="small").with_fallbacks([model(model="large")]), "how old?")

    assert captured.outline() == "workflow RunnableWithFallbacks\n  llm ChatOpenAI error\n  llm ChatOpenAI"
