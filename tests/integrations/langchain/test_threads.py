"""Threads and executors: pools of LangChain keep the tree, bare ones need `treerings.carry`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import treerings
from langchain_core.runnables import RunnableLambda
from treerings.testing import Capture

leaf = RunnableLambda(lambda text: text).with_config(run_name="leaf")


@pytest.fixture
def instrumented() -> Iterator[None]:
    treerings.instrument("langchain")
    yield
    treerings.uninstrument("langchain")


def in_thread(work: Callable[..., Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)


def test_a_carried_thread_stays_in_the_tree(captured: Capture, traced: dict[str, Any]) -> None:
    def top(text: str) -> str:
        in_thread(treerings.carry(lambda: leaf.invoke(text)))
        return text

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n  chain leaf"


def test_a_carried_executor_job_stays_in_the_tree(captured: Capture, traced: dict[str, Any]) -> None:
    def top(text: str) -> str:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(treerings.carry(leaf.invoke), text).result(10)
        return text

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n  chain leaf"


def test_a_carried_run_in_executor_stays_in_the_tree(captured: Capture, traced: dict[str, Any]) -> None:
    async def top(text: str) -> str:
        await asyncio.get_running_loop().run_in_executor(None, treerings.carry(leaf.invoke), text)
        return text

    asyncio.run(RunnableLambda(top).ainvoke("oak", traced))

    assert captured.outline() == "workflow top\n  chain leaf"


def test_to_thread_and_tasks_stay_in_the_tree(captured: Capture, traced: dict[str, Any]) -> None:
    async def top(text: str) -> str:
        await asyncio.to_thread(leaf.invoke, text)
        await asyncio.create_task(leaf.ainvoke(text))
        return text

    asyncio.run(RunnableLambda(top).ainvoke("oak", traced))

    assert captured.outline() == "workflow top\n  chain leaf\n  chain leaf"


def test_a_bare_thread_with_callbacks_passed_makes_a_workflow_of_its_own(
    captured: Capture, traced: dict[str, Any]
) -> None:
    def top(text: str) -> str:
        in_thread(lambda: leaf.invoke(text, {"callbacks": traced["callbacks"]}))
        return text

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n\nworkflow leaf"


@pytest.mark.usefixtures("instrumented")
def test_a_bare_thread_makes_a_workflow_of_its_own(captured: Capture) -> None:
    def top(text: str) -> str:
        in_thread(lambda: leaf.invoke(text))
        return text

    RunnableLambda(top).invoke("oak")

    assert captured.outline() == "workflow top\n\nworkflow leaf"


@pytest.mark.usefixtures("instrumented")
def test_a_carried_thread_stays_in_the_tree_of_an_instrumented_process(captured: Capture) -> None:
    def top(text: str) -> str:
        in_thread(treerings.carry(lambda: leaf.invoke(text)))
        return text

    RunnableLambda(top).invoke("oak")

    assert captured.outline() == "workflow top\n  chain leaf"


def test_a_config_passed_into_a_bare_thread_keeps_the_tree(captured: Capture, traced: dict[str, Any]) -> None:
    def top(text: str, config: Any) -> str:
        in_thread(lambda: leaf.invoke(text, config))
        return text

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n  chain leaf"


def test_many_threads_on_one_handler_do_not_mix(captured: Capture, traced: dict[str, Any]) -> None:
    def run(number: int) -> None:
        (leaf | leaf).with_config(run_name=f"w{number}").invoke(str(number), traced)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(run, range(64)))

    outlines = sorted(captured.outline().split("\n\n"))
    assert outlines == sorted(f"workflow w{number}\n  chain leaf\n  chain leaf" for number in range(64))
