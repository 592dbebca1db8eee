"""Crews, their tasks, agents, model calls and tools are one tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Process, Task
from treerings.testing import Answer, Capture, ModelServer, ToolCall

RUN = """
workflow crew
  task Count.
    agent forester
      llm gpt-4o-mini
      tool count_rings
      llm gpt-4o-mini
""".strip()


def test_a_crew_is_a_tree_of_tasks_agents_models_and_tools(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    crew("Count.", tools=[ring_count]).kickoff(inputs={"tree": "oak"})

    assert captured.outline() == RUN


def test_tokens_are_those_of_the_answers(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    crew("Count.", tools=[ring_count]).kickoff()

    totals = captured.workflow.totals
    assert (totals.input_tokens, totals.output_tokens) == (
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )
    assert totals.estimated_calls == 0


def test_agents_that_share_a_model_are_not_counted_twice(
    server: ModelServer, agent: Callable[..., Agent], model: Callable[..., Any], captured: Capture
) -> None:
    server.say("112 rings.", times=None)
    shared = model()
    workers = [agent("forester", llm=shared), agent("clerk", llm=shared)]
    tasks = [Task(description=f"Count {w.role}.", expected_output="A number.", agent=w) for w in workers]
    crew = Crew(agents=workers, tasks=tasks)

    crew.kickoff()
    crew.kickoff()

    total = sum(workflow.totals.input_tokens for workflow in captured.workflows)
    assert total == server.usage_served.input_tokens
    assert len(captured.workflows) == 2


def test_payloads_are_recorded(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    crew("Count {tree}.", tools=[ring_count]).kickoff(inputs={"tree": "oak"})

    root = captured.step("workflow")
    assert (root.input, root.output) == ({"tree": "oak"}, "112 rings.")
    assert captured.step("task").input == {"description": "Count oak.", "expected_output": "An answer."}
    assert captured.step("task").output == "112 rings."
    assert "Count oak." in captured.step("agent").input
    tool = captured.step("tool")
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")


def test_a_model_call_says_what_was_asked_and_answered(
    server: ModelServer,
    crew: Callable[..., Crew],
    model: Callable[..., Any],
    agent: Callable[..., Agent],
    captured: Capture,
) -> None:
    server.say("112 rings.")

    crew("Count.", worker=agent(llm=model(temperature=0.2))).kickoff()

    call = captured.step("llm")
    assert (call.model, call.provider, call.output) == ("gpt-4o-mini", "openai", "112 rings.")
    assert call.attributes["finish_reason"] == "stop"
    assert call.attributes["response_id"].startswith("chatcmpl")
    assert call.attributes["request"]["temperature"] == 0.2
    assert call.input[0]["role"] == "system"
    assert call.cost_usd is not None


def test_a_tool_is_linked_to_the_call_that_asked_for_it(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tools([ToolCall("count_rings", {"tree": "oak"}, "a"), ToolCall("count_rings", {"tree": "elm"}, "b")])
    server.say("112 rings.")

    crew("Count.", tools=[ring_count]).kickoff()

    first_call = next(step for step in captured.workflow.steps if step.kind == "llm")
    tools = {step.attributes["tool_call_id"]: step for step in captured.steps if step.kind == "tool"}
    assert {id: step.input["tree"] for id, step in tools.items()} == {"a": "oak", "b": "elm"}
    assert {step.attributes["called_by"] for step in tools.values()} == {first_call.id}


def test_a_long_description_names_its_task_shortly(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")

    crew("Count the rings. " * 50).kickoff()

    task = captured.step("task")
    assert len(task.name) == 80
    assert len(task.input["description"]) > 800


@pytest.mark.parametrize("way", ["kickoff_async", "akickoff"])
def test_asynchronous_kickoffs_give_the_same_tree(
    way: str, server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    asyncio.run(getattr(crew("Count.", tools=[ring_count]), way)())

    assert captured.outline() == RUN


def test_each_input_is_a_workflow_of_its_own(server: ModelServer, crew: Callable[..., Crew], captured: Capture) -> None:
    server.reply(lambda request: "oak" if "oak" in request.text else "elm", times=None)

    crew("Count {tree}.").kickoff_for_each([{"tree": "oak"}, {"tree": "elm"}])

    assert [step.output for step in captured.steps if step.kind == "workflow"] == ["oak", "elm"]
    assert len(captured.workflows) == 2


@pytest.mark.parametrize("way", ["kickoff_for_each_async", "akickoff_for_each"])
def test_kickoffs_side_by_side_do_not_mix(
    way: str, server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.reply(lambda request: "oak" if "oak" in request.text else "elm", times=None)

    asyncio.run(getattr(crew("Count {tree}."), way)([{"tree": "oak"}, {"tree": "elm"}]))

    for workflow in captured.workflows:
        tree = workflow.steps[0].input["tree"]
        assert {step.output for step in workflow.steps} == {tree}
        assert [step.kind for step in workflow.steps] == ["workflow", "task", "agent", "llm"]
    assert len(captured.workflows) == 2


def test_asynchronous_tasks_have_their_crew(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    server.reply(lambda request: "fine", times=None)
    workers = [agent(role) for role in ("oak", "elm", "fir")]
    tasks = [
        Task(description=f"Count {w.role}.", expected_output="A number.", agent=w, async_execution=w.role != "fir")
        for w in workers
    ]

    Crew(agents=workers, tasks=tasks).kickoff()

    below = [f"Count {name}.\n    agent {name}\n      llm gpt-4o-mini" for name in ("elm", "fir", "oak")]
    assert sorted(captured.outline().split("\n  task ")[1:]) == below


def test_a_manager_hands_over_to_a_coworker(
    server: ModelServer, agent: Callable[..., Agent], model: Callable[..., Any], captured: Capture
) -> None:
    def reply(request: Any) -> Answer:
        if "delegate_work_to_coworker" in str(request.data.get("tools")) and request.tool_result is None:
            work = {"task": "Count the rings.", "context": "An oak.", "coworker": "forester"}
            return Answer(tool_calls=[ToolCall("delegate_work_to_coworker", work)])
        return Answer("112 rings.")

    server.reply(reply, times=None)
    task = Task(description="Report.", expected_output="A report.")

    Crew(agents=[agent()], tasks=[task], process=Process.hierarchical, manager_llm=model()).kickoff()

    assert captured.outline(show=("handoff_to",)) == (
        "workflow crew\n"
        "  task Report.\n"
        "    agent Crew Manager\n"
        "      llm gpt-4o-mini\n"
        "      handoff delegate_work_to_coworker handoff_to=forester\n"
        "        agent forester\n"
        "          llm gpt-4o-mini\n"
        "      llm gpt-4o-mini"
    )
