"""Workflows of one's own: nodes, retries, waiting, failure, and the three ways to be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from llama_index.llms.openai import OpenAI
from treerings.testing import Capture, ModelServer
from workflows.retry_policy import ConstantDelayRetryPolicy

Models = Callable[..., OpenAI]


class Found(Event):
    tree: str


class Survey(Workflow):
    """Two steps, the second with a model call."""

    def __init__(self, model: OpenAI, **options: Any) -> None:
        super().__init__(**options)
        self.model = model

    @step
    async def find(self, event: StartEvent) -> Found:
        return Found(tree=event.kind)

    @step
    async def count(self, event: Found) -> StopEvent:
        return StopEvent(result=(await self.model.acomplete(f"Count the {event.tree}")).text)


def run(workflow: Workflow, **given: Any) -> Any:
    async def running() -> Any:
        return await workflow.run(**given)

    return asyncio.run(running())


def test_a_workflow_has_a_node_for_each_step(captured: Capture, model: Models) -> None:
    assert run(Survey(model()), kind="oak") == "112 rings."

    assert captured.outline() == "workflow Survey\n  node find\n  node count\n    llm OpenAI"
    root = captured.workflow.steps[0]
    assert (root.input, root.output) == ({"kind": "oak"}, "112 rings.")
    assert root.attributes["run_id"]  # which LlamaIndex says in the context only
    assert captured.step("node", "find").output == {"event": "Found", "tree": "oak"}
    assert captured.step("node", "count").input == {"event": "Found", "tree": "oak"}


class Outer(Workflow):
    def __init__(self, inner: Workflow) -> None:
        super().__init__()
        self.inner = inner

    @step
    async def delegate(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=await self.inner.run(kind="fir"))


def test_a_workflow_in_a_step_lies_below_the_step(captured: Capture, model: Models) -> None:
    run(Outer(Survey(model())))

    assert captured.outline().splitlines() == [
        "workflow Outer",
        "  node delegate",
        "    workflow Survey",
        "      node find",
        "      node count",
        "        llm OpenAI",
    ]


class Synchronous(Workflow):
    def __init__(self, model: OpenAI) -> None:
        super().__init__()
        self.model = model

    @step
    def count(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=self.model.complete("Count").text)


def test_a_synchronous_step_runs_in_a_thread_inside_its_node(captured: Capture, model: Models) -> None:
    run(Synchronous(model()))

    assert captured.outline() == "workflow Synchronous\n  node count\n    llm OpenAI"


class Gather(Workflow):
    @step
    async def spread(self, ctx: Context, event: StartEvent) -> Found | None:
        for tree in ("oak", "fir", "elm"):
            ctx.send_event(Found(tree=tree))
        return None

    @step
    async def gather(self, ctx: Context, event: Found) -> StopEvent | None:
        found = ctx.collect_events(event, [Found] * 3)
        return None if found is None else StopEvent(result=len(found))


def test_steps_that_come_back_with_nothing_end_when_they_did(captured: Capture) -> None:
    assert run(Gather()) == 3

    assert captured.outline() == "workflow Gather\n  node spread\n" + "\n".join(["  node gather"] * 3)
    assert {str(item.status) for item in captured.steps} == {"ok"}
    spread, first = captured.steps[1:3]
    assert max(spread.ended_at, first.ended_at) <= captured.steps[-1].ended_at


class Asking(Workflow):
    @step
    async def ask(self, ctx: Context, event: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Which tree?"))
        return StopEvent(result=answer.response)


def test_a_step_that_waits_and_runs_again_is_one_node(captured: Capture) -> None:
    async def running() -> Any:
        handler = Asking().run()
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                handler.ctx.send_event(HumanResponseEvent(response="oak"))  # type: ignore[attr-defined]
        return await handler

    assert asyncio.run(running()) == "oak"
    assert captured.outline() == "workflow Asking\n  node ask"
    assert captured.step("node").output == "oak"


class Flaky(Workflow):
    attempts = 0

    @step(retry_policy=ConstantDelayRetryPolicy(maximum_attempts=3, delay=0))
    async def fetch(self, event: StartEvent) -> StopEvent:
        self.attempts += 1
        if self.attempts < 3:
            raise ConnectionError(f"attempt {self.attempts}")
        return StopEvent(result="got it")


def test_each_attempt_of_a_step_is_a_node(captured: Capture) -> None:
    run(Flaky())

    nodes = [item for item in captured.steps if item.kind == "node"]
    assert [(str(item.status), item.attributes.get("attempt")) for item in nodes] == [
        ("error", None),
        ("error", 2),
        ("ok", 3),
    ]
    assert captured.workflow.status == "ok"


class Failing(Workflow):
    @step
    async def fail(self, event: StartEvent) -> StopEvent:
        raise LookupError("no tree here")


def test_a_failing_step_fails_its_run(captured: Capture) -> None:
    with pytest.raises(LookupError):
        run(Failing())

    assert captured.outline(show=("error_type",)).splitlines() == [
        "workflow Failing error error_type=LookupError",
        "  node fail error error_type=LookupError",
    ]


class Sleeping(Workflow):
    @step
    async def sleep(self, event: StartEvent) -> StopEvent:
        await asyncio.Event().wait()
        return StopEvent()


async def _until_asleep(captured: Capture) -> None:
    while not any(item.kind == "node" for item in captured.steps):
        await asyncio.sleep(0)


def test_a_cancelled_run_is_cancelled_though_its_spans_exit(captured: Capture) -> None:
    async def running() -> None:
        handler = Sleeping(timeout=None).run()
        await _until_asleep(captured)
        await handler.cancel_run()
        with pytest.raises(Exception):  # noqa: B017, PT011  # the handler's own, of several versions
            await handler

    asyncio.run(running())
    assert captured.outline() == "workflow Sleeping cancelled\n  node sleep cancelled"


def test_a_run_whose_loop_goes_away_is_cancelled(captured: Capture) -> None:
    async def running() -> None:
        handler = Sleeping(timeout=None).run()
        await _until_asleep(captured)
        del handler

    asyncio.run(running())
    captured.finish()
    assert captured.outline() == "workflow Sleeping cancelled\n  node sleep cancelled"


def test_a_run_that_takes_too_long_failed_and_its_step_is_cancelled(captured: Capture) -> None:
    with pytest.raises(Exception, match="timed out"):
        run(Sleeping(timeout=0.05))

    assert captured.outline(show=("error_type",)).splitlines() == [
        "workflow Sleeping error error_type=WorkflowTimeoutError",
        "  node sleep cancelled",
    ]


def test_a_cancelled_agent_has_a_cancelled_model_call(
    captured: Capture, server: ModelServer, agent: Callable[..., Any]
) -> None:
    server.delay(5)

    async def running() -> None:
        handler = agent().run("How old?")
        while not server.requests:
            await asyncio.sleep(0.005)
        await handler.cancel_run()
        with pytest.raises(Exception):  # noqa: B017, PT011  # as above
            await handler

    asyncio.run(running())
    assert captured.outline() == "agent counter cancelled\n  llm OpenAI cancelled"


def test_a_waiting_step_of_a_cancelled_team_is_closed_with_it(captured: Capture) -> None:
    async def running() -> None:
        handler = Asking(timeout=None).run()
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                await handler.cancel_run()
        with pytest.raises(Exception):  # noqa: B017, PT011  # as above
            await handler

    asyncio.run(running())
    assert captured.outline().splitlines()[0] == "workflow Asking cancelled"
    assert all(item.status != "running" for item in captured.steps)
