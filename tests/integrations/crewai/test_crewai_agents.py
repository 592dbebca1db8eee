"""Agents asked directly, model calls outside of everything, guardrails, planning and reasoning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from treerings.testing import Answer, Capture, ModelServer


def test_an_agent_asked_directly_is_the_root(
    server: ModelServer, agent: Callable[..., Agent], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    agent(tools=[ring_count]).kickoff("How old is the oak?")

    assert captured.outline(show=("agent",)) == (
        "agent forester agent=forester\n"
        "  llm gpt-4o-mini agent=forester\n"
        "  tool count_rings agent=forester\n"
        "  llm gpt-4o-mini agent=forester"
    )
    assert captured.step("agent").output == "112 rings."
    assert "oak" in str(captured.step("agent").input)


def test_an_agent_may_be_asked_asynchronously(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    server.say("112 rings.")

    asyncio.run(agent().kickoff_async("Count."))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini"


def test_an_agent_that_fails_is_failed(server: ModelServer, agent: Callable[..., Agent], captured: Capture) -> None:
    server.fail(400, message="bad", times=None)

    with pytest.raises(Exception, match="bad"):
        agent().kickoff("Count.")

    assert captured.outline() == "agent forester error\n  llm gpt-4o-mini error"


def test_a_model_call_outside_of_everything_is_a_workflow(
    server: ModelServer, model: Callable[..., Any], captured: Capture
) -> None:
    server.say("An oak.").say("An elm.")

    assert model().call("Which tree?") == "An oak."
    assert model().call("And this?") == "An elm."

    assert captured.outline() == "llm gpt-4o-mini\n\nllm gpt-4o-mini"
    assert sum(w.totals.input_tokens for w in captured.workflows) == server.usage_served.input_tokens


def test_an_asynchronous_model_call_is_recorded(
    server: ModelServer, model: Callable[..., Any], captured: Capture
) -> None:
    server.say("An oak.")

    asyncio.run(model().acall("Which tree?"))

    assert captured.step("llm").output == "An oak."


def test_a_function_that_a_direct_call_runs_is_inside_the_call(
    server: ModelServer, model: Callable[..., Any], captured: Capture
) -> None:
    schema = {"type": "object", "properties": {"tree": {"type": "string"}}, "required": ["tree"]}
    tools = [{"type": "function", "function": {"name": "rings", "description": "Count.", "parameters": schema}}]
    server.call_tool("rings", {"tree": "oak"})

    model().call("Count.", tools=tools, available_functions={"rings": lambda tree: f"{tree}: 112"})

    assert captured.outline() == "llm gpt-4o-mini\n  tool rings"


def test_a_function_that_fails_in_a_direct_call_leaves_one_call_with_its_usage(
    server: ModelServer, model: Callable[..., Any], captured: Capture
) -> None:
    def rings(tree: str) -> str:
        raise ValueError("rotten")

    schema = {"type": "object", "properties": {"tree": {"type": "string"}}, "required": ["tree"]}
    tools = [{"type": "function", "function": {"name": "rings", "description": "Count.", "parameters": schema}}]
    server.call_tool("rings", {"tree": "oak"})

    model().call("Count.", tools=tools, available_functions={"rings": rings})

    assert captured.outline() == "llm gpt-4o-mini error\n  tool rings error"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens
    assert not captured.step("llm").estimated


def test_a_guardrail_that_refuses_is_failed_though_its_event_says_completed(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    def in_rings(output):  # CrewAI reads the annotation of the result, and only as an object
        return ("rings" in output.raw, output.raw if "rings" in output.raw else "Say it in rings.")

    server.say("112.").say("112 rings.")
    worker = agent()
    task = Task(description="Count.", expected_output="A number.", agent=worker, guardrail=in_rings)

    Crew(agents=[worker], tasks=[task]).kickoff()

    guardrails = [step for step in captured.workflow.steps if step.kind == "guardrail"]
    assert [(g.name, str(g.status), g.error) for g in guardrails] == [
        ("in_rings", "error", "Say it in rings."),
        ("in_rings", "ok", None),
    ]
    assert captured.workflow.status == "ok"
    assert {step.parent_id for step in guardrails} == {captured.step("task").id}


def test_a_guardrail_asked_of_a_model_holds_its_call(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    server.say("112 rings.").say({"valid": True, "feedback": None})
    worker = agent()
    task = Task(description="Count.", expected_output="A number.", agent=worker, guardrail="Must be polite.")

    Crew(agents=[worker], tasks=[task]).kickoff()

    outline = captured.outline()
    assert "\n    guardrail Must be polite.\n      agent " in outline
    assert outline.count("llm gpt-4o-mini") == len(server.requests) == 2


def test_planning_of_a_crew_is_in_its_tree(
    server: ModelServer, crew: Callable[..., Crew], model: Callable[..., Any], captured: Capture
) -> None:
    plan = {"list_of_plans_per_task": [{"task_number": 1, "task": "Count.", "plan": "Count slowly."}]}
    server.reply(
        lambda r: Answer(json.dumps(plan)) if "plan" in str(r.data.get("response_format")) else "112", times=None
    )

    crew("Count.", planning=True, planning_llm=model()).kickoff()

    assert captured.workflow.totals.llm_calls == len(server.requests)
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens
    assert len(captured.workflows) == 1


def test_reasoning_of_an_agent_is_in_its_tree(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    from crewai.agent.planning_config import PlanningConfig

    server.reply(lambda request: "READY: I am ready to execute the task.", times=None)
    worker = agent(planning_config=PlanningConfig(max_attempts=1))
    task = Task(description="Count.", expected_output="A number.", agent=worker)

    Crew(agents=[worker], tasks=[task]).kickoff()

    assert len(captured.workflows) == 1
    assert captured.workflow.totals.llm_calls == len(server.requests)
    assert "node planning" in captured.outline()
