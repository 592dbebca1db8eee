"""Agents: turns, tools, handoffs, teams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from llama_index.llms.openai import OpenAI
from llamaindex_samples import asks_once, ring_count
from pydantic import BaseModel
from treerings.testing import Answer, Capture, ModelRequest, ModelServer, ToolCall
from treerings_llamaindex.handlers import TRANSLATOR

Models = Callable[..., OpenAI]
Agents = Callable[..., FunctionAgent]


def ask(agent: Any, question: str = "How old?", **options: Any) -> Any:
    async def run() -> Any:
        return await agent.run(question, **options)

    return asyncio.run(run())


@pytest.mark.parametrize("streaming", [True, False])
def test_an_agents_turns_are_one_step_with_its_calls_and_tools(
    captured: Capture, agent: Agents, server: ModelServer, streaming: bool
) -> None:
    server.reply(asks_once(ToolCall("ring_count", {"tree": "oak"})), times=None)
    answer = ask(agent(streaming=streaming))

    assert str(answer) == "112 rings."
    assert captured.outline(hidden=True) == "agent counter\n  llm OpenAI\n  tool ring_count\n  llm OpenAI"
    root, tool = captured.workflow.steps[0], captured.step("tool")
    assert (root.input, root.output["content"]) == ("How old?", "112 rings.")
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")


def test_a_tool_call_names_the_model_call_that_asked_for_it(
    captured: Capture, agent: Agents, server: ModelServer
) -> None:
    server.reply(asks_once(ToolCall("ring_count", {"tree": "oak"}, id="call-7")), times=None)
    ask(agent())

    tool = captured.step("tool")
    first = next(step for step in captured.steps if step.kind == "llm")
    assert (tool.attributes["tool_call_id"], tool.attributes["called_by"]) == ("call-7", first.id)


def test_parallel_tools_are_steps_beside_each_other_and_replays_are_none(
    captured: Capture, agent: Agents, server: ModelServer
) -> None:
    calls = [ToolCall("ring_count", {"tree": tree}) for tree in ("oak", "fir", "elm")]
    server.reply(asks_once(*calls), times=None)
    ask(agent())

    assert captured.outline().splitlines() == [
        "agent counter",
        "  llm OpenAI",
        *["  tool ring_count"] * 3,
        "  llm OpenAI",
    ]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_failed_tool_keeps_its_own_exception(
    captured: Capture, agent: Agents, server: ModelServer, asynchronous: bool
) -> None:
    async def count(tree: str) -> str:
        """Count."""
        return ring_count(tree)

    server.reply(asks_once(ToolCall("ring_count", {"tree": "stone"})), times=None)
    tool = FunctionTool.from_defaults(
        **{"async_fn" if asynchronous else "fn": count if asynchronous else ring_count}, name="ring_count"
    )  # type: ignore[arg-type]
    ask(agent(tools=[tool]))

    step = captured.step("tool")
    assert (step.status, step.error_type, step.error) == ("error", "ValueError", "a stone has no rings")
    assert captured.workflow.status == "ok"
    assert not any(span.error for span in TRANSLATOR.spans._ended.values())  # nor what its traceback holds


def test_a_tool_that_does_not_exist_is_an_error_of_its_call(
    captured: Capture, agent: Agents, server: ModelServer
) -> None:
    server.reply(asks_once(ToolCall("dig", {})), times=None)
    ask(agent())

    step = captured.step("tool", "dig")
    assert (step.status, step.error_type) == ("error", "ToolError")


def test_a_tool_whose_result_is_the_answer_ends_the_run(captured: Capture, agent: Agents, server: ModelServer) -> None:
    server.reply(asks_once(ToolCall("ring_count", {"tree": "oak"})), times=None)
    ask(agent(tools=[FunctionTool.from_defaults(ring_count, return_direct=True)]))

    assert captured.outline() == "agent counter\n  llm OpenAI\n  tool ring_count"
    assert captured.workflow.steps[0].output["content"] == "oak: 112"


def team(model: Models, **options: Any) -> AgentWorkflow:
    boss = FunctionAgent(name="boss", description="Delegates.", tools=[], llm=model())
    counter = FunctionAgent(name="counter", description="Counts.", tools=[ring_count], llm=model())
    return AgentWorkflow(agents=[boss, counter], root_agent="boss", **options)


def delegates(request: ModelRequest) -> Answer:
    """The boss hands over to the counter, who counts twice and hands back."""
    offered = {tool["function"]["name"] for tool in request.data.get("tools") or ()}
    done = [message for message in request.data["messages"] if message["role"] == "tool"]
    if "ring_count" not in offered and not done:
        return Answer(tool_calls=[ToolCall("handoff", {"to_agent": "counter", "reason": "it counts"})])
    if "ring_count" in offered and len(done) < 3:
        return Answer(tool_calls=[ToolCall("ring_count", {"tree": "oak"})])
    if "ring_count" in offered and len(done) == 3:
        return Answer(tool_calls=[ToolCall("handoff", {"to_agent": "boss", "reason": "done"})])
    return Answer("112 rings.")


def test_a_team_shows_its_agents_and_who_handed_over_to_whom(
    captured: Capture, model: Models, server: ModelServer
) -> None:
    server.reply(delegates, times=None)
    answer = ask(team(model))

    assert str(answer) == "112 rings."
    assert captured.outline(show=("agent",)) == "\n".join(
        [
            "workflow AgentWorkflow",
            "  agent boss agent=boss",
            "    llm OpenAI agent=boss",
            "    handoff handoff agent=boss",
            "  agent counter agent=counter",
            "    llm OpenAI agent=counter",
            "    tool ring_count agent=counter",
            "    llm OpenAI agent=counter",
            "    tool ring_count agent=counter",
            "    llm OpenAI agent=counter",
            "    handoff handoff agent=counter",
            "  agent boss agent=boss",
            "    llm OpenAI agent=boss",
        ]
    )
    handoffs = [step for step in captured.steps if step.kind == "handoff"]
    assert [step.attributes["handoff_to"] for step in handoffs] == ["counter", "boss"]
    assert {str(step.status) for step in captured.steps} == {"ok"}
    assert captured.workflow.steps[0].output["content"] == "112 rings."


def test_concurrent_runs_of_one_team_keep_apart(captured: Capture, model: Models, server: ModelServer) -> None:
    server.reply(delegates, times=None)
    both = team(model)

    async def run() -> None:
        await asyncio.gather(*(both.run(f"Question {number}") for number in range(3)))

    asyncio.run(run())
    outlines = captured.outline().split("\n\n")
    assert len(outlines) == 3
    assert len(set(outlines)) == 1


def test_an_agent_as_another_ones_tool_lies_below_the_tool(
    captured: Capture, agent: Agents, server: ModelServer
) -> None:
    inner = agent(name="inner", tools=[])

    async def delegate(question: str) -> str:
        """Ask another agent."""
        return str(await inner.run(question))

    server.reply(asks_once(ToolCall("delegate", {"question": "How old?"})), times=None)
    ask(agent(tools=[delegate]))

    assert captured.outline().splitlines() == [
        "agent counter",
        "  llm OpenAI",
        "  tool delegate",
        "    agent inner",
        "      llm OpenAI",
        "  llm OpenAI",
    ]


def test_a_reasoning_agent_links_tools_to_the_thought_that_asked(
    captured: Capture, model: Models, server: ModelServer
) -> None:
    server.say('Thought: I need a tool.\nAction: ring_count\nAction Input: {"tree": "oak"}')
    server.say("Thought: I can answer without using any more tools.\nAnswer: 112")
    answer = ask(ReActAgent(name="reasoner", tools=[ring_count], llm=model(), streaming=False))

    assert str(answer) == "112"
    assert captured.outline(hidden=True) == "agent reasoner\n  llm OpenAI\n  tool ring_count\n  llm OpenAI"
    assert captured.step("tool").attributes["called_by"] == captured.steps[1].id


def test_an_agent_that_writes_code_runs_it_in_a_tool(captured: Capture, model: Models, server: ModelServer) -> None:
    server.say("<execute>\nprint(ring_count('oak'))\n</execute>")
    server.say("There are 112.")
    agent = CodeActAgent(
        name="coder", code_execute_fn=lambda code: "oak: 112", tools=[ring_count], llm=model(), streaming=False
    )
    ask(agent)

    assert captured.outline() == "agent coder\n  llm OpenAI\n  tool execute\n  llm OpenAI"
    assert "ring_count('oak')" in captured.step("tool").input["code"]


class Age(BaseModel):
    rings: int


def test_a_structured_answer_is_asked_for_inside_the_agent(
    captured: Capture, agent: Agents, server: ModelServer
) -> None:
    server.say("112 rings.")
    server.reply({"rings": 112})
    answer = ask(agent(tools=[], output_cls=Age))

    assert answer.structured_response == {"rings": 112}
    assert captured.outline() == "agent counter\n  llm OpenAI\n  llm StructuredLLM\n    llm OpenAI"
    assert [step.counted for step in captured.steps if step.kind == "llm"] == [True, False, True]


def test_a_tool_that_waits_for_a_person_is_one_step(captured: Capture, agent: Agents, server: ModelServer) -> None:
    async def permit(ctx: Context) -> str:
        """Ask a person."""
        response = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="May I?"))
        return str(response.response)

    permit.__annotations__["ctx"] = Context  # LlamaIndex knows it by the class, not by its name
    server.reply(asks_once(ToolCall("permit", {})), times=None)

    async def run() -> None:
        handler = agent(tools=[permit]).run("May I count?")
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                assert captured.step("tool").status == "running"
                handler.ctx.send_event(HumanResponseEvent(response="yes"))  # type: ignore[attr-defined]
        await handler

    asyncio.run(run())
    assert captured.outline() == "agent counter\n  llm OpenAI\n  tool permit\n  llm OpenAI"
    assert (captured.step("tool").status, captured.step("tool").output) == ("ok", "yes")


def test_an_agent_that_exceeds_its_turns_failed(captured: Capture, agent: Agents, server: ModelServer) -> None:
    server.call_tool("ring_count", {"tree": "oak"}, times=None)
    with pytest.raises(Exception, match="Max iterations"):
        ask(agent(), max_iterations=2)

    root = captured.workflow.steps[0]
    assert (root.status, root.error_type) == ("error", "WorkflowRuntimeError")
    assert captured.outline().splitlines()[1:] == ["  llm OpenAI", "  tool ring_count", "  llm OpenAI"]
