"""Tool steps name the model call that asked for them, whatever ids the provider gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from treerings.testing import Capture, ModelServer, ToolCall

Make = Callable[..., Any]
QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


@tool
def approve(tree: str) -> str:
    """Ask a human."""
    return str(interrupt(f"May I fell the {tree}?"))


def asking(name: str, runnable: Any) -> BaseTool:
    def ask(question: str) -> str:
        return str(runnable.invoke({"messages": [("user", question)]})["messages"][-1].content)

    return StructuredTool.from_function(ask, name=name, description="Ask.")


def callers(captured: Capture) -> list[int]:
    """For each tool step, which of the model calls asked for it, counted from 0 in the order of their starts."""
    ids = [step.id for step in captured.steps if step.kind == "llm"]
    return [ids.index(step.attributes["called_by"]) for step in captured.steps if step.kind == "tool"]


def test_a_tool_knows_its_call(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.call_tool("measure", {"tree": "oak"}, id="call_7").say("90")

    invoke(create_agent(model(), [measure]), QUESTION)

    assert callers(captured) == [0]
    assert captured.step("tool").attributes["tool_call_id"] == "call_7"


def test_parallel_calls_have_one_caller(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.call_tools([("measure", {"tree": "oak"}), ("measure", {"tree": "elm"})]).say("90")

    invoke(create_agent(model(), [measure]), QUESTION)

    assert callers(captured) == [0, 0]


def test_ids_that_repeat_from_turn_to_turn_belong_to_the_latest(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"}, id="0").call_tool("measure", {"tree": "elm"}, id="0").say("90")

    create_agent(model(), [measure]).invoke(QUESTION, traced)

    assert callers(captured) == [0, 1]


def test_ids_that_repeat_in_an_inner_agent_stay_apart(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tools([ToolCall("ask", {"question": "?"}, "0"), ToolCall("measure", {"tree": "fir"}, "1")])
    inner = create_agent(model(model="inner"), [measure], name="inner")
    server.when(model="inner", tool_result=False).call_tool("measure", {"tree": "elm"}, id="1")
    server.when(model="inner", tool_result=True).say("elm: 90")
    server.say("done")

    create_agent(model(), [asking("ask", inner), measure], name="outer").invoke(QUESTION, traced)

    calls = {step.id: step.agent for step in captured.steps if step.kind == "llm"}
    by_input = {
        step.input["tree"]: calls[step.attributes["called_by"]]
        for step in captured.steps
        if step.kind == "tool" and step.name == "measure"
    }
    assert by_input == {"fir": "outer", "elm": "inner"}


def test_a_resumed_tool_names_the_call_of_the_run_before(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("approve", {"tree": "oak"}).say("Felled.")
    agent = create_agent(model(), [approve], checkpointer=InMemorySaver())
    config = {**traced, "configurable": {"thread_id": "t1"}}

    agent.invoke(QUESTION, config)
    agent.invoke(Command(resume="yes"), config)

    first = next(step for step in captured.steps if step.kind == "llm")
    asked = [step.attributes["called_by"] for step in captured.steps if step.kind == "tool"]
    assert asked == [first.id, first.id]


def test_a_call_of_an_unknown_tool_leaves_no_tool_step(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("dowse", {"tree": "oak"}).say("I cannot.")

    create_agent(model(), [measure]).invoke(QUESTION, traced)

    assert [step.name for step in captured.steps if step.kind == "tool"] == []
    first = next(step for step in captured.steps if step.kind == "llm")
    assert first.output["tool_calls"][0]["name"] == "dowse"


def test_a_tool_that_is_called_directly_has_no_caller(captured: Capture, traced: dict[str, Any]) -> None:
    measure.invoke({"tree": "oak"}, traced)

    step = captured.step("tool", "measure")
    assert (step.input, step.output) == ({"tree": "oak"}, "oak has 90 rings")
    assert "called_by" not in step.attributes
