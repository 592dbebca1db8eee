"""Agents: their model calls, their tools, what goes wrong in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from haystack.components.agents import Agent
from haystack.dataclasses import ChatMessage
from haystack.tools.from_function import create_tool_from_function
from treerings import StopWorkflow, runtime
from treerings.testing import Capture, ModelServer, ToolCall

QUESTION = [ChatMessage.from_user("How old?")]
WHOLE = "agent Agent\n  llm chat_generator\n  tool rings\n  llm chat_generator"


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


def make(generator: Callable[..., Any], *functions: Callable[..., Any], **options: Any) -> Agent:
    tools = [create_tool_from_function(function) for function in functions or (rings,)]
    return Agent(chat_generator=generator(**options), tools=tools)


def run(agent: Agent) -> Any:
    return agent.run(messages=QUESTION)["last_message"].text


def run_async(agent: Agent) -> Any:
    return asyncio.run(agent.run_async(messages=QUESTION))["last_message"].text


both = pytest.mark.parametrize("way", [run, run_async])


@both
def test_an_agent_is_one_tree_with_each_call_counted_once(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="c1").say("112 rings.")

    assert way(make(generator, generation_kwargs={"temperature": 0.5})) == "112 rings."

    assert captured.outline(hidden=True) == WHOLE
    root, first, tool, last = captured.workflow.steps
    assert root.input == {"messages": [{"role": "user", "content": "How old?"}]}
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
    assert (tool.attributes["tool_call_id"], tool.attributes["called_by"]) == ("c1", first.id)
    assert (first.model, last.output["content"], last.attributes["finish_reason"]) == (
        "gpt-4o-mini",
        "112 rings.",
        "stop",
    )
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)
    assert totals.cost_usd > 0


@both
def test_tools_that_run_at_once_hang_side_by_side(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    def measure(tree: str) -> str:
        """Measure."""
        with treerings.step("chain", f"inner {tree}"):
            return tree

    server.call_tools([ToolCall("measure", {"tree": "oak"}, "c1"), ToolCall("measure", {"tree": "elm"}, "c2")])
    server.say("done")

    way(make(generator, measure))

    tools = [step for step in captured.workflow.steps if step.kind == "tool"]
    root = captured.workflow.steps[0]
    assert {step.parent_id for step in tools} == {root.id}
    assert {(step.input["tree"], step.attributes["tool_call_id"]) for step in tools} == {("oak", "c1"), ("elm", "c2")}
    inner = {step.name: step.parent_id for step in captured.workflow.steps if step.kind == "chain"}
    assert inner == {f"inner {step.input['tree']}": step.id for step in tools}


@both
def test_an_agent_in_a_tool_is_below_the_own_step_around_it(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    inner = Agent(chat_generator=generator())

    def ask(question: str) -> str:
        """Ask another."""
        with treerings.step("task", "own"):
            return str(inner.run(messages=[ChatMessage.from_user(question)])["last_message"].text)

    server.call_tool("ask", {"question": "how?"}).say("so").say("done")

    with treerings.step("workflow", "outer"):
        way(make(generator, ask))

    assert captured.outline() == (
        "workflow outer\n  agent Agent\n    llm chat_generator\n    tool ask\n      task own\n        agent Agent\n"
        "          llm chat_generator\n    llm chat_generator"
    )


@both
def test_a_tool_that_fails_is_an_error(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    def break_off() -> str:
        """Break."""
        raise ValueError("bad wood")

    server.call_tool("break_off")
    tools: Any = [create_tool_from_function(break_off)]

    with pytest.raises(Exception, match="bad wood"):
        way(Agent(chat_generator=generator(), tools=tools, raise_on_tool_invocation_failure=True))

    tool = captured.step("tool")
    assert (tool.status, "bad wood" in (tool.error or "")) == ("error", True)
    assert captured.workflow.status == "error"


def test_a_tool_whose_failure_is_given_to_the_model_leaves_its_agent_ok(
    server: ModelServer, captured: Capture, generator: Callable[..., Any]
) -> None:
    def break_off() -> str:
        """Break."""
        raise ValueError("bad wood")

    server.call_tool("break_off").say("a pity")

    make(generator, break_off).run(messages=QUESTION)

    assert captured.outline() == ("agent Agent\n  llm chat_generator\n  tool break_off error\n  llm chat_generator")


@both
def test_a_model_that_fails_is_an_error(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    server.fail(400, message="no wood")

    with pytest.raises(Exception, match="no wood"):
        way(make(generator))

    assert captured.outline() == "agent Agent error\n  llm chat_generator error"
    assert captured.step("llm").error_type == "BadRequestError"


async def test_a_cancelled_task_is_cancelled(
    server: ModelServer, captured: Capture, generator: Callable[..., Any]
) -> None:
    started = asyncio.Event()

    async def hang() -> str:
        """Hang."""
        started.set()
        await asyncio.Event().wait()
        return ""

    server.call_tool("hang")
    task = asyncio.create_task(make(generator, hang).run_async(messages=QUESTION))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])

    assert captured.outline() == "agent Agent cancelled\n  llm chat_generator\n  tool hang cancelled"


def test_a_stream_says_when_its_first_token_came(
    server: ModelServer, captured: Capture, generator: Callable[..., Any]
) -> None:
    server.say("one two three")
    chunks: list[Any] = []

    Agent(chat_generator=generator(streaming_callback=chunks.append)).run(messages=QUESTION)

    call = captured.step("llm")
    assert chunks
    assert call.first_token_ms is not None
    assert 0 <= call.first_token_ms <= (call.duration_ms or 0)


def test_a_stream_without_usage_is_estimated(
    server: ModelServer, captured: Capture, generator: Callable[..., Any]
) -> None:
    from treerings.testing import Answer

    server.reply(Answer("one two three", report_usage=False))

    Agent(chat_generator=generator(streaming_callback=lambda chunk: None)).run(messages=QUESTION)

    assert captured.step("llm").estimated


class Guard:
    @treerings.hookimpl
    def step_starting(self, step: Any) -> None:
        if step.kind == "tool":
            raise StopWorkflow("no tool today")


@both
def test_a_guard_stops_the_run(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"})
    name = runtime.register(Guard())
    try:
        with pytest.raises(StopWorkflow, match="no tool today"):
            way(make(generator))
    finally:
        runtime.unregister(name)

    assert captured.outline() == "agent Agent cancelled\n  llm chat_generator\n  tool rings cancelled"


def test_a_failure_of_ours_does_not_reach_the_program(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug of ours")

    server.say("a").say("b").say("c")
    for method in ("start", "update", "end"):
        with monkeypatch.context() as patch:
            patch.setattr(captured.recorder, method, broken)
            assert run(Agent(chat_generator=generator())) in "abc"


@both
def test_the_openai_sdk_is_below_each_call_and_counted_once(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[[Agent], Any]
) -> None:
    treerings.instrument("openai")
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")

    way(make(generator))

    calls = [step for step in captured.workflow.steps if step.kind == "llm"]
    assert [step.source for step in calls] == ["haystack", "openai"] * 2
    assert [step.parent_id for step in calls[1::2]] == [step.id for step in calls[::2]]
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.llm_calls, totals.input_tokens) == (2, served.input_tokens)
