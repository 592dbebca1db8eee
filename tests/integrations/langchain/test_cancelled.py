"""Cancelled runs: LangChain ends the chains and forgets the models, tools and retrievers in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
import treerings
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from treerings.testing import Capture
from treerings_langchain.translate import RUNS


class State(TypedDict, total=False):
    text: str


class Hanging(BaseChatModel):
    """Says that it was asked, and never answers."""

    asked: Any

    @property
    def _llm_type(self) -> str:
        return "hanging"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("ninety"))])

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


class HangingRetriever(BaseRetriever):
    asked: Any

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return []

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        self.asked.set()
        await asyncio.Event().wait()
        return []


def hanging(kind: str, asked: asyncio.Event) -> Any:
    if kind == "llm":
        return Hanging(asked=asked)
    if kind == "retriever":
        return HangingRetriever(asked=asked)

    @tool
    async def wait(text: str) -> str:
        """Wait for ever."""
        asked.set()
        await asyncio.Event().wait()
        return text

    return wait


def cancel(make: Callable[[asyncio.Event], Any]) -> None:
    """Run what `make` gives until it hangs, then cancel it."""

    async def main() -> None:
        asked = asyncio.Event()
        task = asyncio.ensure_future(make(asked))
        await asyncio.wait_for(asked.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["llm", "tool", "retriever"])
def test_a_cancelled_chain_takes_what_runs_in_it_along(captured: Capture, traced: dict[str, Any], kind: str) -> None:
    def run(asked: asyncio.Event) -> Any:
        value = {"text": "oak"} if kind == "tool" else "oak"
        chain = RunnableLambda(lambda _: value).with_config(run_name="first") | hanging(kind, asked)
        return chain.ainvoke("oak", traced)

    cancel(run)
    captured.finish()

    last = captured.steps[-1]
    assert captured.workflow.status == "cancelled"
    assert (last.kind, last.status) == (kind, "cancelled")


def test_a_cancelled_graph_is_cancelled_at_every_level(captured: Capture, traced: dict[str, Any]) -> None:
    def run(asked: asyncio.Event) -> Any:
        async def ask(state: State) -> State:
            return {"text": (await Hanging(asked=asked).ainvoke("how old?")).text}

        return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile().ainvoke({"text": ""}, traced)

    cancel(run)
    captured.finish()

    assert captured.outline() == ("workflow LangGraph cancelled\n  node ask cancelled\n    llm Hanging cancelled")


@pytest.mark.parametrize("kind", ["llm", "tool", "retriever"])
def test_a_cancelled_run_at_the_root_is_cancelled(captured: Capture, traced: dict[str, Any], kind: str) -> None:
    def run(asked: asyncio.Event) -> Any:
        return hanging(kind, asked).ainvoke({"text": "oak"} if kind == "tool" else "oak", traced)

    cancel(run)
    captured.finish()

    assert captured.workflow.status == "cancelled"
    assert len(RUNS) == 0


def test_a_run_at_the_root_that_times_out_is_cancelled(captured: Capture, traced: dict[str, Any]) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Hanging(asked=asyncio.Event()).ainvoke("how old?", traced), 0.01)

    asyncio.run(main())
    captured.finish()

    assert captured.outline() == "llm Hanging cancelled"


def test_a_run_at_the_root_of_a_task_that_goes_on_after_it_ended_keeps_its_status(
    model: Callable[..., Any], server: Any, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say("ninety")

    async def main() -> None:
        async def ask() -> None:
            await model().ainvoke("how old?", traced)
            await asyncio.Event().wait()

        task = asyncio.create_task(ask())
        while not server.usage_served.calls:
            await asyncio.sleep(0)
        while len(RUNS):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())

    assert captured.outline() == "llm ChatOpenAI"


def test_a_stream_that_is_read_by_several_tasks_keeps_its_status(
    model: Callable[..., Any], server: Any, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say("one two three")

    async def main() -> None:
        stream = aiter(model().astream("how old?", traced))

        async def read_one() -> bool:
            return await anext(stream, None) is not None

        while await asyncio.create_task(read_one()):
            await asyncio.sleep(0)

    asyncio.run(main())

    assert captured.outline() == "llm ChatOpenAI"


def test_a_cancelled_call_in_an_own_step_is_cancelled_with_it(captured: Capture, traced: dict[str, Any]) -> None:
    def run(asked: asyncio.Event) -> Any:
        @treerings.step("task", "own")
        async def own() -> None:
            await Hanging(asked=asked).ainvoke("how old?", traced)

        return own()

    cancel(run)
    captured.finish()

    assert captured.outline() == "task own cancelled\n  llm Hanging cancelled"


def test_a_cancelled_stream_is_cancelled_at_every_level(
    model: Callable[..., Any], server: Any, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say("one two three", chunk_delay=5)

    async def main() -> None:
        first = asyncio.Event()

        async def read() -> None:
            async for _ in (RunnableLambda(lambda text: text) | model()).astream("how old?", traced):
                first.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(first.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert captured.workflow.status == "cancelled"
    assert captured.step("llm").status == "cancelled"


def test_a_keyboard_interrupt_cancels(captured: Capture, traced: dict[str, Any]) -> None:
    def stop(text: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        (RunnableLambda(lambda text: text) | RunnableLambda(stop)).invoke("oak", traced)

    assert captured.outline() == "workflow RunnableSequence cancelled\n  chain RunnableLambda\n  chain stop cancelled"
