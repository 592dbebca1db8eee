"""What fails, and what CrewAI says wrongly after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.tools import tool
from treerings.testing import Capture, ModelServer


@tool
def broken(tree: str) -> str:
    """Always fails."""
    raise ValueError(f"{tree} is rotten")


@tool
def interrupting(tree: str) -> str:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def test_a_failed_model_call_is_one_step_though_it_is_told_twice_and_attempts_are_siblings(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.fail(400, message="bad").say("112 rings.")

    crew("Count.").kickoff()

    assert captured.outline(show=("attempt",)) == (
        "workflow crew\n"
        "  task Count.\n"
        "    agent forester error\n"
        "      llm gpt-4o-mini error\n"
        "    agent forester attempt=2\n"
        "      llm gpt-4o-mini"
    )
    failed = next(step for step in captured.workflow.steps if step.kind == "llm")
    assert "bad" in failed.error
    assert captured.workflow.status == "ok"


def test_tasks_after_a_failure_have_their_parents_though_the_ids_of_crewai_are_shifted(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.fail(400).fail(400).say("One.")
    server.call_tool("count_rings", {"tree": "oak"}).say("Two.")

    crew("First.", "Second.", tools=[ring_count]).kickoff()

    assert captured.outline() == (
        "workflow crew\n"
        "  task First.\n"
        "    agent forester error\n"
        "      llm gpt-4o-mini error\n"
        "    agent forester error\n"
        "      llm gpt-4o-mini error\n"
        "    agent forester\n"
        "      llm gpt-4o-mini\n"
        "  task Second.\n"
        "    agent forester\n"
        "      llm gpt-4o-mini\n"
        "      tool count_rings\n"
        "      llm gpt-4o-mini"
    )


def test_a_crew_that_fails_for_good_is_failed_from_the_call_up(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.fail(400, message="bad", times=None)

    with pytest.raises(Exception, match="bad"):
        crew("First.", "Second.").kickoff()

    attempt = "    agent forester error\n      llm gpt-4o-mini error"
    assert captured.outline() == "\n".join(["workflow crew error", "  task First. error", *[attempt] * 3])
    assert captured.step("task").error_type == "BadRequestError"


def test_a_coworker_that_fails_is_tried_again_inside_the_handoff(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    work = {"task": "Count the rings.", "context": "An oak.", "coworker": "clerk"}
    server.call_tool("delegate_work_to_coworker", work).fail(400).say("112.").say("Done.")
    boss = agent("boss", allow_delegation=True)
    task = Task(description="Report.", expected_output="A report.", agent=boss)

    Crew(agents=[boss, agent("clerk")], tasks=[task]).kickoff()

    assert captured.outline() == (
        "workflow crew\n"
        "  task Report.\n"
        "    agent boss\n"
        "      llm gpt-4o-mini\n"
        "      handoff delegate_work_to_coworker\n"
        "        agent clerk error\n"
        "          llm gpt-4o-mini error\n"
        "        agent clerk\n"
        "          llm gpt-4o-mini\n"
        "      llm gpt-4o-mini"
    )


def test_a_tool_that_raises_is_failed_and_its_crew_is_not(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.call_tool("broken", {"tree": "oak"}).say("It is rotten.")

    crew("Count.", tools=[broken]).kickoff()

    assert captured.step("tool").status == "error"
    assert "oak is rotten" in captured.step("tool").error
    assert captured.workflow.status == "ok"


def test_arguments_that_cannot_be_read_are_a_failed_tool_though_nothing_was_started(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", '{"tree": ').say("Sorry.")

    crew("Count.", tools=[ring_count]).kickoff()

    assert captured.outline() == (
        "workflow crew\n"
        "  task Count.\n"
        "    agent forester\n"
        "      llm gpt-4o-mini\n"
        "      tool count_rings error\n"
        "      llm gpt-4o-mini"
    )


@pytest.mark.parametrize("call", [("count_rings", {"t": 1}), ("unknown", {"tree": "oak"})])
def test_wrong_arguments_and_unknown_tools_are_one_failed_tool(
    call: tuple[str, dict[str, Any]],
    server: ModelServer,
    crew: Callable[..., Crew],
    ring_count: Any,
    captured: Capture,
) -> None:
    server.call_tool(*call).say("Sorry.")

    crew("Count.", tools=[ring_count]).kickoff()

    assert [(step.name, step.status) for step in captured.steps if step.kind == "tool"] == [(call[0], "error")]


def test_a_retry_of_the_sdk_is_inside_one_call(
    server: ModelServer,
    crew: Callable[..., Crew],
    agent: Callable[..., Agent],
    model: Callable[..., Any],
    captured: Capture,
) -> None:
    server.fail(429, retry_after=0).say("112 rings.")

    crew("Count.", worker=agent(llm=model(max_retries=1))).kickoff()

    assert captured.outline() == "workflow crew\n  task Count.\n    agent forester\n      llm gpt-4o-mini"


def test_an_interrupted_crew_is_cancelled_and_the_next_one_is_a_tree_of_its_own(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.call_tool("interrupting", {"tree": "oak"}).say("112 rings.")
    with pytest.raises(KeyboardInterrupt):
        crew("First.", tools=[interrupting]).kickoff()

    crew("Second.").kickoff()

    assert captured.outline() == (
        "workflow crew cancelled\n"
        "  task First. cancelled\n"
        "    agent forester cancelled\n"
        "      llm gpt-4o-mini\n"
        "      tool interrupting cancelled\n"
        "\n"
        "workflow crew\n"
        "  task Second.\n"
        "    agent forester\n"
        "      llm gpt-4o-mini"
    )


def test_an_interrupted_crew_of_which_nothing_is_left_is_closed_without_a_next_one(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.call_tool("interrupting", {"tree": "oak"})
    with pytest.raises(KeyboardInterrupt):
        crew("First.", tools=[interrupting]).kickoff()

    _collect()
    assert {step.status for step in captured.steps if step.kind != "llm"} == {"cancelled"}


def test_a_cancelled_kickoff_is_cancelled_and_keeps_what_its_call_used(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    async def main() -> None:
        task = asyncio.create_task(crew("Count.").akickoff())
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    server.say("112 rings.", delay=0.2)
    asyncio.run(main())

    _collect()
    assert captured.outline() == (
        "workflow crew cancelled\n  task Count. cancelled\n    agent forester cancelled\n      llm gpt-4o-mini"
    )
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def _collect() -> None:
    """The exceptions' tracebacks hold CrewAI's state of the run in cycles."""
    import gc

    gc.collect()
