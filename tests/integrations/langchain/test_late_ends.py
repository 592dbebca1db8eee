"""Steps that end after the root did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel
from treerings.testing import Capture, ModelServer
from treerings_langchain.translate import RUNS


def test_a_parallel_branch_that_goes_on_after_the_error_has_its_own_end(
    captured: Capture, traced: dict[str, Any]
) -> None:
    async def main() -> None:
        running, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def slow(text: str) -> str:
            running.set()
            await may_end.wait()
            await RunnableLambda(lambda value: value).with_config(run_name="below").ainvoke(text)
            ended.set()
            return "done"

        async def bad(text: str) -> str:
            await running.wait()
            raise ValueError("bad wood")

        with pytest.raises(ValueError, match="bad wood"):
            await RunnableParallel(slow=slow, bad=bad).ainvoke("oak", traced)
        captured.flush()
        may_end.set()
        await ended.wait()
        while len(RUNS):
            await asyncio.sleep(0)

    asyncio.run(main())

    assert {step.name: step.status for step in captured.workflow.steps} == {
        "RunnableParallel<slow,bad>": "error",
        "slow": "ok",
        "bad": "error",
        "below": "ok",
    }


def test_a_background_task_started_in_a_chain_stays_in_its_tree(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say("ninety")

    async def main() -> None:
        tasks: list[asyncio.Task[Any]] = []

        async def top(text: str, config: Any) -> str:
            tasks.append(asyncio.create_task(model().ainvoke(text, config)))
            return text

        await RunnableLambda(top).ainvoke("oak", traced)
        await asyncio.gather(*tasks)

    asyncio.run(main())

    assert captured.outline() == "workflow top\n  llm ChatOpenAI"
    assert captured.workflow.totals.output_tokens == server.usage_served.output_tokens
