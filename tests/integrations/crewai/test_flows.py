"""Flows: their methods, their ends, and the flows of CrewAI's own that nobody wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew
from crewai.flow.flow import Flow, and_, listen, router, start
from treerings.testing import Capture, ModelServer


def test_a_flow_is_a_tree_of_its_methods(captured: Capture) -> None:
    class Survey(Flow):
        @start()
        def count(self) -> int:
            return 112

        @listen(count)
        def report(self, rings: int) -> str:
            return f"{rings} rings"

    Survey().kickoff(inputs={"tree": "oak"})

    assert captured.outline() == "workflow Survey\n  node count\n  node report"
    root = captured.step("workflow")
    assert (root.input, root.output) == ({"tree": "oak"}, "112 rings")
    assert root.attributes["flow_id"]
    assert captured.step("node", "count").output == 112


def test_methods_side_by_side_are_siblings(captured: Capture) -> None:
    class Survey(Flow):
        @start()
        async def oak(self) -> int:
            await asyncio.sleep(0)
            return 1

        @start()
        async def elm(self) -> int:
            await asyncio.sleep(0)
            return 2

        @listen(and_(oak, elm))
        def report(self) -> str:
            return "done"

    asyncio.run(Survey().kickoff_async())

    names = [(step.name, step.parent_id) for step in captured.workflow.steps[1:]]
    assert sorted(names) == [(name, captured.workflow.steps[0].id) for name in ("elm", "oak", "report")]


def test_a_method_that_fails_fails_its_flow(captured: Capture) -> None:
    class Survey(Flow):
        @start()
        def count(self) -> int:
            raise ValueError("rotten")

    with pytest.raises(ValueError, match="rotten"):
        Survey().kickoff()

    assert captured.outline() == "workflow Survey error\n  node count error"
    assert {(step.error_type, step.error) for step in captured.steps} == {("ValueError", "rotten")}


def test_a_router_is_a_method(captured: Capture) -> None:
    class Survey(Flow):
        @start()
        def count(self) -> int:
            return 112

        @router(count)
        def judge(self, rings: int) -> str:
            return "old"

        @listen("old")
        def keep(self) -> str:
            return "kept"

    Survey().kickoff()

    assert captured.outline() == "workflow Survey\n  node count\n  node judge\n  node keep"


def test_a_flow_whose_events_are_suppressed_is_recorded_without_its_methods(captured: Capture) -> None:
    class Survey(Flow):
        suppress_flow_events: bool = True

        @start()
        def count(self) -> int:
            return 112

    Survey().kickoff()

    assert captured.outline() == "workflow Survey"


def test_an_agent_in_a_flow_is_under_its_method(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture
) -> None:
    server.say("112 rings.")

    class Survey(Flow):
        @start()
        async def count(self) -> str:
            return (await agent().kickoff_async("Count.")).raw

    asyncio.run(Survey().kickoff_async())

    assert captured.outline() == "workflow Survey\n  node count\n    agent forester\n      llm gpt-4o-mini"


def test_a_crew_in_an_asynchronous_method_is_under_it(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")

    class Survey(Flow):
        @start()
        async def count(self) -> str:
            return str(await crew("Count.").akickoff())

    asyncio.run(Survey().kickoff_async())

    assert captured.outline() == (
        "workflow Survey\n"
        "  node count\n"
        "    workflow crew\n"
        "      task Count.\n"
        "        agent forester\n"
        "          llm gpt-4o-mini"
    )


def test_a_flow_in_a_flow_is_under_the_method_that_runs_it(captured: Capture) -> None:
    class Inner(Flow):
        @start()
        def count(self) -> int:
            return 112

    class Outer(Flow):
        @start()
        async def ask(self) -> Any:
            return await Inner().kickoff_async()

    asyncio.run(Outer().kickoff_async())

    assert captured.outline() == "workflow Outer\n  node ask\n    workflow Inner\n      node count"


def test_the_executor_that_runs_an_agent_as_a_flow_is_not_shown(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")

    crew("Count.").kickoff()

    assert "AgentExecutor" not in captured.outline(hidden=True)
