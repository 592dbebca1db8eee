"""Runs that are cancelled or no longer read: cancelled steps, no errors, nothing left in the caller's context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
from treerings.context import current_step
from treerings.testing import Answer, Capture, ModelRequest, ModelServer, outline

LLM = "llm OpenAIChatCompletionClient"


class Hanging:
    """A model that was asked and does not answer, and the event that says so."""

    def __init__(self, server: ModelServer) -> None:
        self.asked = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        server.reply(self.reply)

    def reply(self, request: ModelRequest) -> Answer:
        self.loop.call_soon_threadsafe(self.asked.set)
        return Answer("late", delay=60)


def team_of(*agents: AssistantAgent, turns: int = 1) -> RoundRobinGroupChat:
    return RoundRobinGroupChat(list(agents), name="team", max_turns=turns)


async def by_token(run: Callable[..., Any], hanging: Hanging) -> None:
    token = CancellationToken()
    task = asyncio.create_task(run(task="How old?", cancellation_token=token))
    await hanging.asked.wait()
    token.cancel()
    await task


async def by_task(run: Callable[..., Any], hanging: Hanging) -> None:
    token = CancellationToken()
    task = asyncio.create_task(run(task="How old?", cancellation_token=token))
    await hanging.asked.wait()
    task.cancel()
    token.cancel()  # a team's task waits for its runtime
    await task


@pytest.mark.parametrize("cancel", [by_token, by_task])
def test_a_cancelled_agent_is_cancelled_down_to_its_call(
    server: ModelServer, client: Callable[..., Any], captured: Capture, cancel: Callable[..., Any]
) -> None:
    async def go() -> None:
        with pytest.raises(asyncio.CancelledError):
            await cancel(AssistantAgent("ann", client()).run, Hanging(server))

    asyncio.run(go())

    assert captured.outline() == f"agent ann cancelled\n  {LLM} cancelled"


@pytest.mark.parametrize("cancel", [by_token, by_task])
def test_a_cancelled_team_is_cancelled_down_to_its_call(
    server: ModelServer, client: Callable[..., Any], captured: Capture, cancel: Callable[..., Any]
) -> None:
    """A6: AutoGen's spans of a cancelled run look fine, and no termination is told."""

    async def go() -> None:
        with pytest.raises(asyncio.CancelledError):
            await cancel(team_of(AssistantAgent("ann", client())).run, Hanging(server))

    asyncio.run(go())

    assert captured.outline() == f"workflow team cancelled\n  agent ann cancelled\n    {LLM} cancelled"
    assert captured.workflow.totals.failed_steps == 0


def test_a_timeout_cancels_and_leaves_nothing_behind(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    async def go() -> None:
        hanging = Hanging(server)
        ann = AssistantAgent("ann", client())

        async def run_in_time() -> None:
            async with asyncio.timeout(None) as scope:
                asked = asyncio.ensure_future(hanging.asked.wait())
                asked.add_done_callback(lambda _: scope.reschedule(asyncio.get_running_loop().time()))
                await ann.run(task="How old?")

        with pytest.raises(TimeoutError):
            await run_in_time()
        server.say("in time")
        assert current_step() is None
        await AssistantAgent("bob", client()).run(task="How old?")

    asyncio.run(go())

    assert [outline(workflow) for workflow in captured.workflows] == [
        f"agent ann cancelled\n  {LLM} cancelled",
        f"agent bob\n  {LLM}",
    ]


def test_a_cancelled_tool_is_cancelled(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.call_tool("hang")

    async def go() -> None:
        begun = asyncio.Event()

        async def hang() -> str:
            """Hang."""
            begun.set()
            await asyncio.Event().wait()
            return ""

        token = CancellationToken()
        agent = AssistantAgent("ann", client(), tools=[hang])
        task = asyncio.create_task(agent.run(task="How old?", cancellation_token=token))
        await begun.wait()
        token.cancel()  # the tool ends; its agent would wait for its result for ever
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())

    assert captured.outline() == f"agent ann cancelled\n  {LLM}\n  tool hang cancelled"


def test_leaving_an_agents_stream_leaves_nothing_in_the_context(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A2: AutoGen's own span stays attached in the caller's context, and later runs nest below it."""
    server.say("one").say("two")

    async def go() -> None:
        async for _ in AssistantAgent("ann", client()).run_stream(task="How old?"):
            assert current_step() is None
            break
        assert current_step() is None
        await AssistantAgent("bob", client()).run(task="How old?")
        await asyncio.get_running_loop().shutdown_asyncgens()

    asyncio.run(go())

    assert [outline(workflow).splitlines()[0] for workflow in captured.workflows] == [
        "agent ann cancelled",
        "agent bob",
    ]


def test_a_stream_that_is_left_after_its_result_is_ok(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one").say("two")

    async def go() -> None:
        for runner in (AssistantAgent("ann", client()), team_of(AssistantAgent("bob", client()))):
            stream = runner.run_stream(task="How old?")
            async for item in stream:
                if isinstance(item, TaskResult):
                    break
            await stream.aclose()

    asyncio.run(go())

    assert [workflow.status for workflow in captured.workflows] == ["ok", "ok"]


def test_what_a_team_does_after_its_stream_was_left_is_in_its_tree(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A14: the runtime goes on until it is idle."""
    server.say("one").say("two").say("three")

    async def go() -> None:
        agents = [AssistantAgent(name, client()) for name in ("ann", "bob", "cat")]
        stream = team_of(*agents, turns=3).run_stream(task="How old?")
        async for item in stream:
            if isinstance(item, TextMessage) and item.source == "ann":
                break
        await stream.aclose()

    asyncio.run(go())

    assert captured.outline() == (
        f"workflow team cancelled\n  agent ann\n    {LLM}\n  agent bob\n    {LLM}\n  agent cat\n    {LLM}"
    )


def test_a_stream_that_is_never_begun_is_no_step(client: Callable[..., Any], captured: Capture) -> None:
    async def go() -> None:
        await AssistantAgent("ann", client()).run_stream(task="How old?").aclose()

    asyncio.run(go())

    assert captured.steps == []


def test_what_is_thrown_into_a_stream_reaches_it(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one")

    async def go() -> None:
        stream = AssistantAgent("ann", client()).run_stream(task="How old?")
        await anext(stream)
        with pytest.raises(KeyError):
            await stream.athrow(KeyError("mine"))

    asyncio.run(go())

    assert captured.outline() == "agent ann error"
