"""Teams, whose members are agents below them, and workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.team import Team
from treerings.testing import Capture, ModelServer

TREE = """
agent crew agent=crew
  llm OpenAIChat agent=crew
  handoff delegate_task_to_member agent=crew handoff_to=Bob
    agent Bob agent=Bob
      llm OpenAIChat agent=Bob
  llm OpenAIChat agent=crew
""".strip()


def run(team: Any) -> Any:
    return team.run("count").content


def arun(team: Any) -> Any:
    async def main() -> Any:
        return (await team.arun("count")).content

    return asyncio.run(main())


def stream(team: Any) -> Any:
    return [getattr(event, "content", None) for event in team.run("count", stream=True)][-1]


def astream(team: Any) -> Any:
    async def main() -> Any:
        return [getattr(event, "content", None) async for event in team.arun("count", stream=True)][-1]

    return asyncio.run(main())


@pytest.mark.parametrize("way", [run, arun, stream, astream])
def test_a_team_hands_over_to_its_member(
    server: ModelServer, captured: Capture, model: Callable[..., Any], way: Callable[[Any], Any]
) -> None:
    server.call_tool("delegate_task_to_member", {"member_id": "bob", "task": "count"}).say("I count 7.").say("Seven.")
    team = Team(name="crew", model=model(), members=[Agent(name="Bob", model=model())], telemetry=False)

    assert way(team) == "Seven."

    assert captured.outline(show=("agent", "handoff_to")) == TREE
    assert captured.workflow.steps[0].output == "Seven."
    assert captured.step("handoff").output == "I count 7."
    assert captured.step("agent", "Bob").output == "I count 7."
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_members_that_work_at_once_hang_under_their_team(
    server: ModelServer, captured: Capture, model: Callable[..., Any]
) -> None:
    server.when(contains="delegate_task_to_members", tool_result=True).say("Both did.")
    server.when(lambda request: bool(request.tools)).call_tool("delegate_task_to_members", {"task": "count"})
    server.when(lambda request: not request.tools).say("done", times=None)
    members: Any = [Agent(name=name, model=model()) for name in ("Ada", "Bob")]
    team = Team(name="crew", model=model(), members=members, delegate_to_all_members=True, telemetry=False)
    server.say("Both did.")

    arun(team)

    handoff = captured.step("handoff")
    assert handoff.attributes["handoff_to"] == "Ada, Bob"
    below = {step.name for step in captured.workflow.steps if step.parent_id == handoff.id}
    assert below == {"Ada", "Bob"}
    assert captured.workflow.totals.llm_calls == 4


@pytest.mark.parametrize("way", [run, arun, stream, astream])
def test_a_workflow_has_its_steps_and_their_agents(
    server: ModelServer, captured: Capture, model: Callable[..., Any], way: Callable[[Any], Any]
) -> None:
    workflow = pytest.importorskip("agno.workflow")
    server.say("oak").say("112")
    steps = [
        workflow.Step(name="find", agent=Agent(name="finder", model=model())),
        workflow.Step(name="count", agent=Agent(name="counter", model=model())),
    ]

    way(workflow.Workflow(name="survey", steps=steps, telemetry=False))

    assert captured.outline() == (
        "workflow survey\n"
        "  task find\n    agent finder\n      llm OpenAIChat\n"
        "  task count\n    agent counter\n      llm OpenAIChat"
    )
    assert (captured.step("task", "count").output, captured.workflow.steps[0].output) == ("112", "112")
