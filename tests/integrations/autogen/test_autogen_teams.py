"""Teams of every sort: one tree a run, agents below their team, the orchestrator's model calls directly below it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import treerings
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core import SingleThreadedAgentRuntime
from treerings import Kind
from treerings.testing import Answer, Capture, ModelRequest, ModelServer, ToolCall, outline

LLM = "llm OpenAIChatCompletionClient"


def test_a_round_robin_run_is_one_tree(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.say("one").say("two")
    team = RoundRobinGroupChat(
        [AssistantAgent("ann", client()), AssistantAgent("bob", client())],
        termination_condition=MaxMessageTermination(3),
    )

    result: Any = asyncio.run(team.run(task="count"))

    assert [message.content for message in result.messages] == ["count", "one", "two"]
    assert captured.outline() == f"workflow RoundRobinGroupChat\n  agent ann\n    {LLM}\n  agent bob\n    {LLM}"
    root = captured.workflow.steps[0]
    assert (root.input, root.output) == ("count", {"role": "bob", "content": "two"})
    assert root.attributes["stop_reason"].startswith("Maximum number of messages 3 reached")
    assert [step.agent for step in captured.steps if step.kind == "llm"] == ["ann", "bob"]


def test_each_run_of_a_team_is_a_workflow(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.say("one").say("two")
    team = RoundRobinGroupChat([AssistantAgent("ann", client())], max_turns=1)

    async def run() -> None:
        await team.run(task="first")
        async for _ in team.run_stream(task="second"):
            pass

    asyncio.run(run())

    assert [workflow.steps[0].input for workflow in captured.workflows] == ["first", "second"]
    assert {outline(workflow) for workflow in captured.workflows} == {
        f"workflow RoundRobinGroupChat\n  agent ann\n    {LLM}"
    }


def test_a_selectors_model_call_is_below_the_team(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("bob").say("two")
    team = SelectorGroupChat(
        [AssistantAgent("ann", client()), AssistantAgent("bob", client())], model_client=client(), max_turns=1
    )

    asyncio.run(team.run(task="count"))

    assert captured.outline() == f"workflow SelectorGroupChat\n  {LLM}\n  agent bob\n    {LLM}"


def test_a_swarms_handoff_is_a_step_with_its_target(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.call_tool("transfer_to_bob").say("I am Bob")
    ann = AssistantAgent("ann", client(), handoffs=["bob"])
    bob = AssistantAgent("bob", client(), handoffs=["ann"])

    asyncio.run(Swarm([ann, bob], termination_condition=MaxMessageTermination(5), max_turns=2).run(task="Bob, please"))

    assert captured.outline(show=("handoff_to",)) == (
        f"workflow Swarm\n  agent ann\n    {LLM}\n    handoff transfer_to_bob handoff_to=bob\n  agent bob\n    {LLM}"
    )
    handoff = captured.step("handoff")
    assert handoff.attributes["called_by"] == next(step.id for step in captured.steps if step.kind == "llm")


def test_a_handoff_to_the_user_ends_the_team_without_an_error(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.call_tool("transfer_to_user")
    team = Swarm(
        [AssistantAgent("ann", client(), handoffs=["user"])], termination_condition=HandoffTermination(target="user")
    )

    asyncio.run(team.run(task="refund"))

    assert captured.outline() == f"workflow Swarm\n  agent ann\n    {LLM}\n    handoff transfer_to_user"


def test_magentic_ones_orchestrator_calls_are_below_the_team(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    def ledger(done: bool) -> str:
        entry = {"reason": "so", "answer": done}
        return json.dumps(
            {
                "is_request_satisfied": entry,
                "is_in_loop": {"reason": "no", "answer": False},
                "is_progress_being_made": {"reason": "yes", "answer": True},
                "next_speaker": {"reason": "only one", "answer": "ann"},
                "instruction_or_question": {"reason": "so", "answer": "count"},
            }
        )

    server.say("facts").say("plan").say(ledger(False)).say("one").say(ledger(True)).say("final")
    team = MagenticOneGroupChat([AssistantAgent("ann", client())], model_client=client())

    asyncio.run(team.run(task="count"))

    assert captured.outline() == (
        f"workflow MagenticOneGroupChat\n  {LLM}\n  {LLM}\n  {LLM}\n  agent ann\n    {LLM}\n  {LLM}\n  {LLM}"
    )


def test_a_graphs_parallel_agents_are_below_the_team(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    for name in ("ann", "bob", "cat"):
        server.when(contains=f"I am {name}").say(name)
    ann, bob, cat = (AssistantAgent(name, client(), system_message=f"I am {name}.") for name in ("ann", "bob", "cat"))
    builder = DiGraphBuilder()
    builder.add_node(ann).add_node(bob).add_node(cat)
    builder.add_edge(ann, bob).add_edge(ann, cat)

    asyncio.run(GraphFlow([ann, bob, cat], graph=builder.build()).run(task="go"))

    lines = captured.outline().splitlines()
    assert lines[0] == "workflow GraphFlow"
    assert sorted(line for line in lines if "agent" in line) == ["  agent ann", "  agent bob", "  agent cat"]
    assert next(step.agent for step in captured.steps if step.kind == "llm") == "ann"
    assert sorted(str(step.agent) for step in captured.steps if step.kind == "llm") == ["ann", "bob", "cat"]


def test_a_nested_team_is_below_its_team(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.say("one").say("two")
    inner = RoundRobinGroupChat([AssistantAgent("ann", client())], name="inner", max_turns=1)
    outer = RoundRobinGroupChat([inner, AssistantAgent("bob", client())], name="outer", max_turns=2)

    asyncio.run(outer.run(task="count"))

    assert captured.outline() == (
        f"workflow outer\n  workflow inner\n    agent ann\n      {LLM}\n  agent bob\n    {LLM}"
    )


def test_two_teams_at_once_on_one_runtime_keep_their_agents(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A11: a shared runtime runs all handlers in the context in which it was started."""

    def reply(request: ModelRequest) -> Any:
        if request.tools:
            return Answer(tool_calls=[ToolCall("rings", {})], delay=0.01)
        return "bob1" if "bob1" in request.text else "bob2"

    def rings() -> str:
        """Count."""
        return "112"

    server.reply(reply, times=None)

    async def run() -> None:
        runtime = SingleThreadedAgentRuntime()
        with treerings.step("task", "elsewhere"):
            runtime.start()
        teams = [
            SelectorGroupChat(
                [
                    AssistantAgent(f"ann{n}", client(), tools=[rings]),
                    AssistantAgent(f"bob{n}", client(), tools=[rings]),
                ],
                model_client=client(),
                name=f"team{n}",
                max_turns=2,
                runtime=runtime,
                allow_repeated_speaker=True,
            )
            for n in (1, 2)
        ]
        await asyncio.gather(*(team.run(task="count") for team in teams))
        await runtime.stop()

    asyncio.run(run())

    trees = {workflow.name: workflow for workflow in captured.workflows}
    assert sorted(trees) == ["elsewhere", "team1", "team2"]
    assert outline(trees["elsewhere"]) == "task elsewhere"
    for n in (1, 2):
        steps = trees[f"team{n}"].steps
        assert {step.name for step in steps if step.kind == "agent"} == {f"bob{n}"}
        assert {step.parent_id for step in steps if step.kind == "agent"} == {steps[0].id}
        assert [step.kind for step in steps if step.parent_id == steps[0].id].count(Kind.LLM) == 2
        assert len([step for step in steps if step.kind == "tool"]) == 2


def test_a_step_that_is_open_where_a_shared_runtime_starts_is_not_the_parent_of_a_team(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:

    server.say("one")

    async def run() -> None:
        runtime = SingleThreadedAgentRuntime()
        team = RoundRobinGroupChat([AssistantAgent("ann", client())], max_turns=1, runtime=runtime)
        started, over = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            with treerings.step("task", "elsewhere"):
                runtime.start()
                started.set()
                await over.wait()

        task = asyncio.create_task(other())
        await started.wait()
        await team.run(task="count")
        over.set()
        await task
        await runtime.stop()

    asyncio.run(run())

    assert sorted(outline(workflow) for workflow in captured.workflows) == [
        "task elsewhere",
        f"workflow RoundRobinGroupChat\n  agent ann\n    {LLM}",
    ]


class Chatty(RoundRobinGroupChat):
    """A team of the program's own, which calls what it inherits."""

    async def run_stream(self, **options: Any) -> AsyncGenerator[Any, None]:
        async for item in super().run_stream(**options):
            yield item


def test_a_team_that_calls_its_inherited_method_is_one_step(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one")

    asyncio.run(Chatty([AssistantAgent("ann", client())], max_turns=1).run(task="count"))

    assert captured.outline() == f"workflow RoundRobinGroupChat\n  agent ann\n    {LLM}"


def test_a_second_run_at_the_same_time_is_refused_and_harms_nothing(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one")
    team = RoundRobinGroupChat([AssistantAgent("ann", client())], max_turns=1)

    async def run() -> None:
        first = asyncio.create_task(team.run(task="first"))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="already running"):
            await team.run(task="second")
        await first

    asyncio.run(run())

    assert [outline(workflow) for workflow in captured.workflows] == [
        f"workflow RoundRobinGroupChat\n  agent ann\n    {LLM}",
        "workflow RoundRobinGroupChat error",
    ]


def test_an_agents_failure_is_one_error_and_no_one_elses(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A5, A7, A8: the other participants get the error as a message that they cannot handle; that is plumbing."""
    server.fail(500)
    team = RoundRobinGroupChat([AssistantAgent("ann", client()), AssistantAgent("bob", client())], max_turns=2)

    with pytest.raises(RuntimeError, match="InternalServerError"):
        asyncio.run(team.run(task="count"))

    assert captured.outline() == f"workflow RoundRobinGroupChat error\n  agent ann error\n    {LLM} error"
    call = captured.step("llm")
    assert (call.error_type, call.usage) == ("InternalServerError", None)
    assert captured.workflow.totals.failed_steps == 3
