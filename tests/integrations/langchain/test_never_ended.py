"""What never ends is closed and forgotten: nothing grows."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from typing import Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from treerings import Kind
from treerings.context import OpenStep
from treerings.testing import Capture
from treerings_langchain import CallbackHandler
from treerings_langchain.runs import Run, Runs
from treerings_langchain.translate import RUNS


class State(TypedDict, total=False):
    text: str


def run(parent: Run | None = None) -> Run:
    number = uuid4().hex
    step = OpenStep(number, number, parent.step if parent else None, Kind.CHAIN, "run", "langchain", 0, True)
    return Run(step, parent, "run", object())


def a_mix_of_runs(count: int, traced: dict[str, Any]) -> None:
    """Runs that work, fail, are cancelled and are interrupted, `count` of each."""

    def fail(text: str) -> str:
        raise ValueError("bad wood")

    graph = (
        StateGraph(State)
        .add_node("ask", lambda state: {"text": interrupt("sure?")})
        .add_edge(START, "ask")
        .compile(checkpointer=InMemorySaver())
    )
    ok = RunnableLambda(lambda text: text) | FakeListChatModel(responses=["ninety"])

    async def cancelled() -> None:
        async def hang(text: str) -> None:
            started.set()
            await asyncio.Event().wait()

        for _ in range(count):
            started = asyncio.Event()
            task = asyncio.create_task(RunnableLambda(hang).ainvoke("oak", traced))
            await started.wait()
            task.cancel()
            await asyncio.wait([task])

    for number in range(count):
        ok.invoke("oak", traced)
        with pytest.raises(ValueError, match="bad wood"):
            RunnableLambda(fail).invoke("oak", traced)
        graph.invoke({"text": ""}, {**traced, "configurable": {"thread_id": str(number)}})
    asyncio.run(cancelled())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts file handles by /proc")
def test_a_thousand_runs_leave_nothing_behind(captured: Capture, traced: dict[str, Any]) -> None:
    a_mix_of_runs(5, traced)
    captured.finish()
    gc.collect()
    threads, files = threading.active_count(), open_files()

    a_mix_of_runs(250, traced)
    captured.finish()
    gc.collect()

    assert captured.recorder.report().dropped == 0
    assert len(RUNS) == 0
    assert len(captured.recorder._forest) == 0
    assert (threading.active_count(), open_files()) == (threads, files)


def test_runs_keep_a_bounded_number_of_ended_ones() -> None:
    runs = Runs(max_ended=10)
    for _ in range(100):
        run_id = uuid4()
        runs.add(run_id, run())
        runs.end(run_id)

    assert len(runs._ended) == 10


def test_runs_keep_a_bounded_number_of_open_ones() -> None:
    runs = Runs(max_open=10)
    for _ in range(100):
        runs.add(uuid4(), run())

    assert len(runs) == 10


def test_a_run_left_open_below_an_ended_root_is_forgotten_after_a_while() -> None:
    runs, root_id, child_id = Runs(keep_s=60), uuid4(), uuid4()
    root = run()
    runs.add(root_id, root)
    runs.add(child_id, run(root))
    runs.end(root_id)

    runs.tidy(time.monotonic() + 59)
    before = len(runs)
    runs.tidy(time.monotonic() + 61)

    assert (before, len(runs)) == (1, 0)


def test_a_long_run_is_not_forgotten() -> None:
    runs = Runs(keep_s=60)
    root = run()
    runs.add(uuid4(), root)
    runs.add(uuid4(), run(root))

    runs.tidy(time.monotonic() + 3600)

    assert len(runs) == 2


def test_the_end_of_a_forgotten_run_is_a_step_of_its_own(captured: Capture) -> None:
    handler, run_id = CallbackHandler(), uuid4()
    handler.on_chat_model_start({"name": "model"}, [[]], run_id=run_id, metadata={})
    RUNS.clear()

    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=AIMessage("ninety"))]]), run_id=run_id)
    captured.finish()

    assert captured.outline() == "llm model incomplete\n\nllm llm"


@pytest.mark.usefixtures("captured")
def test_an_ended_root_does_not_keep_what_it_knew_of_messages(traced: dict[str, Any]) -> None:
    RunnableLambda(lambda state: state).invoke({"messages": [AIMessage("a"), AIMessage("b")]}, traced)

    assert [(item.seen, item.prompted) for item in RUNS._ended.values()] == [(None, None)]
