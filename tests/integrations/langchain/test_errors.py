"""Errors: on the step that raised, on those that it passed through, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import ToolException, tool
from langgraph.graph import END, START, StateGraph
from openai import APIError
from pydantic import BaseModel, ValidationError
from treerings.testing import Capture, ModelServer


class State(TypedDict, total=False):
    text: str


class Tree(BaseModel):
    name: str
    rings: int


class BrokenRetriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        raise LookupError("no index")


@tool
def breaks(tree: str) -> str:
    """Break."""
    raise ValueError("bad wood")


@tool
def complains(tree: str) -> str:
    """Complain."""
    raise ToolException("bad wood")


complains.handle_tool_error = True


def fail(value: Any) -> Any:
    raise ValueError("bad wood")


def test_an_error_of_the_provider_fails_the_call_and_the_workflow(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.fail(500, message="out of order")

    with pytest.raises(APIError):
        invoke(RunnableLambda(lambda text: text).with_config(run_name="first") | model(), "how old?")

    assert captured.outline(show=("error_type",)) == (
        "workflow RunnableSequence error error_type=OpenAIAPIError\n  chain first\n"
        "  llm ChatOpenAI error error_type=OpenAIAPIError"
    )
    assert "out of order" in str(captured.step("llm").error)
    assert captured.workflow.totals.unpriced_calls == 0


def test_a_failing_retriever_ends_as_an_error(captured: Capture, invoke: Callable[..., Any]) -> None:
    with pytest.raises(LookupError):
        invoke(RunnableLambda(lambda text: text).with_config(run_name="first") | BrokenRetriever(), "oak")

    assert captured.outline() == ("workflow RunnableSequence error\n  chain first\n  retriever BrokenRetriever error")


def test_a_failing_tool_fails_its_agent(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("breaks", {"tree": "oak"})

    with pytest.raises(ValueError, match="bad wood"):
        invoke(create_agent(model(), [breaks], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob error\n  node model\n    llm ChatOpenAI\n  node tools error\n    tool breaks error"
    )


def test_a_tool_that_handles_its_error_fails_alone(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("complains", {"tree": "oak"}).say("It is bad wood.")

    invoke(create_agent(model(), [complains], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool complains error\n"
        "  node model\n    llm ChatOpenAI"
    )
    step = captured.step("tool")
    assert (step.error_type, step.error, step.attributes["handled"]) == ("ToolError", "bad wood", True)


def test_arguments_that_do_not_fit_fail_the_tool_alone(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("breaks", {"wood": 1}).say("I was wrong.")

    invoke(create_agent(model(), [breaks], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.workflow.status == "ok"
    assert captured.step("tool").status == "error"


def test_a_tool_that_does_not_exist_leaves_no_step(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("missing").say("I was wrong.")

    invoke(create_agent(model(), [breaks], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n  node model\n    llm ChatOpenAI"
    )


def test_an_answer_that_does_not_fit_its_schema_is_an_error_that_was_billed(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say({"name": "oak", "rings": "many"})

    with pytest.raises(ValidationError):
        invoke(model().with_structured_output(Tree, method="json_schema"), "how old?")

    call = captured.step("llm")
    assert (call.status, call.error_type, call.estimated) == ("error", "ValidationError", False)
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens > 0
    assert captured.workflow.totals.output_tokens == server.usage_served.output_tokens > 0
    assert captured.workflow.totals.cost_usd > 0


def test_a_refused_request_used_nothing(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.fail(429)

    with pytest.raises(APIError):
        invoke(model(), "how old?")

    call = captured.step("llm")
    assert (call.usage, call.output, captured.workflow.totals.estimated_calls) == (None, None, 0)


def test_a_failing_async_sibling_is_cancelled(captured: Capture, traced: dict[str, Any]) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def breaking(state: State) -> State:
            await started.wait()
            raise ValueError("bad wood")

        async def waiting(state: State) -> State:
            started.set()
            await asyncio.Event().wait()
            return {}

        graph = (
            StateGraph(State)
            .add_node("breaking", breaking)
            .add_node("waiting", waiting)
            .add_edge(START, "breaking")
            .add_edge(START, "waiting")
            .compile()
        )
        with pytest.raises(ValueError, match="bad wood"):
            await graph.ainvoke({"text": ""}, traced)

    asyncio.run(main())

    assert captured.outline() == "workflow LangGraph error\n  node breaking error\n  node waiting cancelled"


def test_a_node_that_runs_out_of_time_is_cancelled_and_the_graph_says_why(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    from langgraph.errors import NodeTimeoutError

    server.say("ninety", delay=30)

    async def ask(state: State) -> State:
        return {"text": (await model().ainvoke("how old?")).text}

    graph = StateGraph(State).add_node("ask", ask, timeout=0.05).add_edge(START, "ask").compile()

    with pytest.raises(NodeTimeoutError):
        asyncio.run(graph.ainvoke({"text": ""}, traced))
    captured.finish()

    assert captured.outline(show=("error_type",)) == (
        "workflow LangGraph error error_type=NodeTimeoutError\n  node ask cancelled error_type=CancelledError\n"
        "    llm ChatOpenAI cancelled"
    )


def test_an_error_handler_of_a_node_keeps_the_workflow_ok(captured: Capture, invoke: Callable[..., Any]) -> None:
    def help_out(state: State) -> State:
        return {"text": "helped"}

    graph = (
        StateGraph(State).add_node("work", fail, error_handler=help_out).add_edge(START, "work").add_edge("work", END)
    )

    invoke(graph.compile(), {"text": ""})

    assert captured.outline() == "workflow LangGraph\n  node work error"
    assert captured.outline(hidden=True).splitlines()[2].strip().startswith("node __error_handler__")


def test_an_error_in_a_subgraph_is_on_its_whole_path(captured: Capture, invoke: Callable[..., Any]) -> None:
    inner = StateGraph(State).add_node("leaf", fail).add_edge(START, "leaf").compile(name="inner")
    outer = StateGraph(State).add_node("call", inner).add_edge(START, "call").compile(name="outer")

    with pytest.raises(ValueError, match="bad wood"):
        invoke(outer, {"text": ""})

    assert captured.outline() == (
        "workflow outer error\n  node call error\n    workflow inner error\n      node leaf error"
    )


def test_a_caught_error_stays_on_its_step(captured: Capture, invoke: Callable[..., Any]) -> None:
    def top(text: str) -> str:
        with pytest.raises(ValueError, match="bad wood"):
            RunnableLambda(fail).invoke(text)
        return text

    invoke(RunnableLambda(top), "oak")

    assert captured.outline() == "workflow top\n  chain fail error"


def test_a_branch_that_fails_leaves_the_other_its_own_status(captured: Capture, traced: dict[str, Any]) -> None:
    chain = RunnableParallel(
        good=RunnableLambda(lambda text: text).with_config(run_name="good"), bad=RunnableLambda(fail)
    )

    with pytest.raises(ValueError, match="bad wood"):
        chain.invoke("oak", traced)

    statuses = {step.name: step.status for step in captured.steps}
    assert (statuses["good"], statuses["fail"], captured.workflow.status) == ("ok", "error", "error")


def test_the_program_gets_its_own_exception(captured: Capture, invoke: Callable[..., Any]) -> None:
    mine = ValueError("mine")

    def raise_mine(text: str) -> str:
        raise mine

    with pytest.raises(ValueError, match="mine") as caught:
        invoke(RunnableLambda(raise_mine), "oak")

    assert caught.value is mine
    assert not getattr(mine, "__notes__", None)


def test_an_error_whose_text_cannot_be_made_is_still_an_error(captured: Capture, invoke: Callable[..., Any]) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def raise_silent(text: str) -> str:
        raise Silent

    with pytest.raises(Silent):
        invoke(RunnableLambda(raise_silent), "oak")

    assert captured.workflow.status == "error"


def test_prompts_that_fail_leave_their_siblings_incomplete(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say("ninety").fail(500).say("ninety")
    questions = [[HumanMessage(text)] for text in ("oak", "bad", "elm")]

    with pytest.raises(APIError):
        model().generate(questions, callbacks=traced["callbacks"])
    captured.finish()

    assert [step.status for step in captured.steps] == ["incomplete", "error", "incomplete"]
