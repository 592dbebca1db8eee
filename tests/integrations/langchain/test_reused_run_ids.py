"""A user's `run_id` may serve several runs: each is a workflow of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableLambda
from treerings.testing import Capture


def test_one_run_id_used_twice_makes_two_workflows(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    chain = RunnableLambda(lambda text: text) | RunnableLambda(lambda text: text)
    config = {**traced, "run_id": uuid4()}

    invoke(chain, "one", config)
    invoke(chain, "one", config)

    one = "workflow RunnableSequence\n  chain RunnableLambda\n  chain RunnableLambda"
    assert captured.outline() == f"{one}\n\n{one}"


def test_one_run_id_used_in_two_threads_at_once_makes_two_workflows(captured: Capture, traced: dict[str, Any]) -> None:
    barrier = threading.Barrier(2, timeout=10)
    first_may_end = threading.Event()
    config: Any = {**traced, "run_id": uuid4()}

    def work(text: str) -> str:
        barrier.wait()
        result: str = RunnableLambda(str.upper).with_config(run_name="below").invoke(text)
        if text == "second":
            first_may_end.wait(10)
        return result

    def run(text: str) -> str:
        result: str = RunnableLambda(work).with_config(run_name="top").invoke(text, config)
        if text == "first":
            first_may_end.set()
        return result

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(run, ["first", "second"]))

    assert answers == ["FIRST", "SECOND"]
    assert captured.outline() == "workflow top\n  chain below\n\nworkflow top\n  chain below"
    for workflow in captured.workflows:
        top, below = workflow.steps
        assert below.input == top.input
        assert top.output == below.output


def test_one_run_id_used_in_two_tasks_at_once_makes_two_workflows(captured: Capture, traced: dict[str, Any]) -> None:
    config: Any = {**traced, "run_id": uuid4()}

    async def main() -> None:
        both, first_ended = asyncio.Barrier(2), asyncio.Event()

        async def work(text: str) -> str:
            await both.wait()
            result: str = await RunnableLambda(str.upper).with_config(run_name="below").ainvoke(text)
            if text == "second":
                await first_ended.wait()
            return result

        async def run(text: str) -> None:
            await RunnableLambda(work).with_config(run_name="top").ainvoke(text, config)
            if text == "first":
                first_ended.set()

        await asyncio.gather(run("first"), run("second"))

    asyncio.run(main())

    assert captured.outline() == "workflow top\n  chain below\n\nworkflow top\n  chain below"
    for workflow in captured.workflows:
        top, below = workflow.steps
        assert below.input == top.input
        assert top.output == below.output
