"""Runs of workflows: graphs of agents and executors, functional ones, questions to people, failures."""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from agent_framework import Agent, Executor, Workflow, WorkflowBuilder, WorkflowContext, handler
from treerings.testing import Capture, ModelServer
from treerings_agent_framework import integration


class Upper(Executor):
    @handler
    async def shout(self, text: str, ctx: WorkflowContext[str]) -> None:
        await ctx.send_message(text.upper())


class Last(Executor):
    @handler
    async def give(self, text: str, ctx: WorkflowContext[None, str]) -> None:
        await ctx.yield_output(text + "!")


class Fails(Executor):
    @handler
    async def fail(self, text: str, ctx: WorkflowContext[str]) -> None:
        raise RuntimeError("out of ink")


async def plain(workflow: Workflow, message: Any) -> list[Any]:
    return list((await workflow.run(message)).get_outputs())


async def streamed(workflow: Workflow, message: Any) -> list[Any]:
    return [event.data async for event in workflow.run(message, stream=True) if event.type == "output"]


def graph(*executors: Any, name: str = "press") -> Workflow:
    builder = WorkflowBuilder(start_executor=executors[0], name=name)
    for before, after in itertools.pairwise(executors):
        builder = builder.add_edge(before, after)
    return builder.build()


@pytest.mark.parametrize("way", [plain, streamed])
def test_a_workflow_is_one_tree_with_a_node_for_each_executor(captured: Capture, way: Callable[..., Any]) -> None:
    assert asyncio.run(way(graph(Upper(id="upper"), Last(id="last")), "oak")) == ["OAK!"]

    assert captured.outline() == "workflow press\n  node upper\n  node last"
    root, upper, last = captured.workflow.steps
    assert (root.input, root.output, upper.input, last.input) == ("oak", "OAK!", "oak", "OAK")


@pytest.mark.parametrize("way", [plain, streamed])
def test_agents_are_below_their_nodes(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[..., Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.").say("It is old.")
    workflow = graph(agent(name="counter"), agent(name="writer", tools=None))

    asyncio.run(way(workflow, "How old?"))

    assert captured.outline() == (
        "workflow press\n"
        "  node counter\n"
        "    agent counter\n"
        "      llm gpt-4o-mini\n"
        "      tool rings\n"
        "      llm gpt-4o-mini\n"
        "  node writer\n"
        "    agent writer\n"
        "      llm gpt-4o-mini"
    )
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_agents_side_by_side_keep_their_own_steps(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.when().say("Yes.", times=3)
    first, second, third = (agent(name=name, tools=None) for name in ("first", "second", "third"))
    workflow = WorkflowBuilder(start_executor=first, name="fan").add_fan_out_edges(first, [second, third]).build()

    asyncio.run(plain(workflow, "How old?"))

    lines = captured.outline().splitlines()
    assert lines[:4] == ["workflow fan", "  node first", "    agent first", "      llm gpt-4o-mini"]
    assert sorted(["\n".join(lines[4:7]), "\n".join(lines[7:])]) == [
        "  node second\n    agent second\n      llm gpt-4o-mini",
        "  node third\n    agent third\n      llm gpt-4o-mini",
    ]


@pytest.mark.parametrize("way", [plain, streamed])
def test_a_failing_executor_is_an_error_up_to_the_workflow(captured: Capture, way: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="out of ink"):
        asyncio.run(way(graph(Fails(id="printer")), "oak"))

    assert captured.outline() == "workflow press error\n  node printer error"


def test_a_workflow_that_waits_for_a_person_is_interrupted(captured: Capture) -> None:
    class Asks(Executor):
        @handler
        async def ask(self, text: str, ctx: WorkflowContext[str]) -> None:
            await ctx.request_info(text, response_type=str)

    asyncio.run(plain(graph(Asks(id="clerk")), "May I?"))

    assert captured.outline() == "workflow press interrupted\n  node clerk"


def test_a_workflow_as_an_agent_is_a_workflow(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.say("112 rings.")
    workflow = graph(agent(tools=None))

    asyncio.run(workflow.as_agent().run("How old?"))  # type: ignore[arg-type]

    assert captured.outline() == ("workflow press\n  node forester\n    agent forester\n      llm gpt-4o-mini")


def test_a_stream_of_a_workflow_that_is_left_is_cancelled(captured: Capture) -> None:
    async def read() -> None:
        stream = graph(Upper(id="upper"), Last(id="last")).run("oak", stream=True)
        async for event in stream:
            if event.type == "executor_completed":
                break
        await stream.close()

    asyncio.run(read())

    assert captured.outline().splitlines()[0] == "workflow press cancelled"


def test_a_functional_workflow_has_a_node_for_each_step(captured: Capture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from agent_framework import step, workflow

        @step
        async def shout(text: str) -> str:
            return text.upper()

        @workflow
        async def press(text: str) -> str:
            return str(await shout(text))

        result: Any = asyncio.run(press.build().run("oak"))  # type: ignore[arg-type]

    assert result.get_outputs() == ["OAK"]
    assert captured.outline() == "workflow press\n  node shout"
    assert captured.step("node").output == "OAK"


def test_uninstrument_gives_workflows_their_methods_back() -> None:
    before = (Workflow.__dict__["_run_core"], Executor.__dict__["execute"])

    integration.instrument()
    integration.uninstrument()

    assert (Workflow.__dict__["_run_core"], Executor.__dict__["execute"]) == before
