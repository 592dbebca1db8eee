"""Streams that are followed and not read."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from treerings import Kind, Status
from treerings.context import current_step
from treerings.streams import follow_async_generator, follow_generator, follow_inside
from treerings.testing import Capture, DeterministicClock, capture
from treerings.wrapping import Call


class Answer(Call):
    __slots__ = ("items",)

    complete = False

    def take(self, item: Any) -> bool:
        if not hasattr(self, "items"):
            self.items: list[Any] = []
        self.items.append(item)
        return bool(item)

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        self.end(status=status, error=error, time_ns=time_ns, output=getattr(self, "items", []))


class Stream:
    """A stream as SDKs make them."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        yield from self._iterator

    def __next__(self) -> Any:
        return next(self._iterator)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for item in self._iterator:
            yield item


def words(*items: Any) -> Generator[Any, Any, str]:
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item
    return "done"


async def words_later(*items: Any) -> AsyncGenerator[Any, None]:
    for item in items:
        await asyncio.sleep(0)
        if isinstance(item, BaseException):
            raise item
        yield item


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture(clock=DeterministicClock()) as captured:
        yield captured


def answer() -> Answer:
    started = Answer.start(Kind.LLM, "answer", source="library")
    assert started is not None
    return started


def test_a_stream_that_is_read_to_its_end_is_ok(captured: Capture) -> None:
    stream = Stream(words("a", "b"))
    follow_inside(stream, "_iterator", answer())
    assert list(stream) == ["a", "b"]
    step = captured.step("llm")
    assert (step.status, step.output) == ("ok", ["a", "b"])


def test_the_first_output_gives_the_time_of_the_first_token(captured: Capture) -> None:
    stream = Stream(words("", "", "a", "b"))
    follow_inside(stream, "_iterator", answer())
    assert next(stream) == ""
    captured.recorder.clock.advance(1)  # type: ignore[attr-defined]  # the deterministic one
    assert list(stream) == ["", "a", "b"]
    first = captured.step("llm").first_token_ms
    assert first is not None
    assert 1_000 < first < 1_100


def test_a_stream_that_raises_keeps_its_error(captured: Capture) -> None:
    stream = Stream(words("a", ValueError("broken")))
    follow_inside(stream, "_iterator", answer())
    with pytest.raises(ValueError, match="broken"):
        list(stream)
    step = captured.step("llm")
    assert (step.status, step.error, step.output) == ("error", "broken", ["a"])


def test_a_stream_that_nobody_holds_any_more_is_cancelled(captured: Capture) -> None:
    stream = Stream(words("a", "b"))
    follow_inside(stream, "_iterator", answer())
    next(stream)
    del stream
    gc.collect()
    captured.finish()
    step = captured.step("llm")
    assert (step.status, step.output) == ("cancelled", ["a"])


def test_a_stream_that_nobody_read_is_cancelled(captured: Capture) -> None:
    for follow in (follow_generator(words("a"), answer()), follow_async_generator(words_later("a"), answer())):
        del follow
    captured.finish()
    assert [step.status for step in captured.steps] == ["cancelled", "cancelled"]


def test_leaving_a_complete_answer_early_cancels_nothing(captured: Capture) -> None:
    class Complete(Answer):
        __slots__ = ()

        complete = True

    call = Complete.start(Kind.LLM, "answer", source="library")
    assert call is not None
    generator = follow_generator(words("a", "b"), call)
    next(generator)
    generator.close()
    assert captured.step("llm").status == "ok"


def test_a_followed_generator_is_one_and_passes_everything_through(captured: Capture) -> None:
    def echo() -> Generator[Any, Any, str]:
        got = yield "first"
        try:
            yield got
        except KeyError as error:
            yield f"caught {error}"
        return "result"

    generator = follow_generator(echo(), answer())
    assert inspect.isgenerator(generator)
    assert (next(generator), generator.send("sent"), generator.throw(KeyError("k"))) == ("first", "sent", "caught 'k'")
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "result"
    assert captured.step("llm").status == "ok"


def test_closing_a_followed_generator_closes_the_one_inside(captured: Capture) -> None:
    inside = words("a", "b")
    generator = follow_generator(inside, answer())
    next(generator)
    generator.close()
    assert inside.gi_frame is None
    assert captured.step("llm").status == "cancelled"


@pytest.mark.parametrize(("items", "status"), [(("a", "b"), "ok"), (("a", ValueError("broken")), "error")])
def test_an_asynchronous_stream_ends_as_it_ends(captured: Capture, items: tuple[Any, ...], status: str) -> None:
    async def run() -> None:
        stream = Stream(words_later(*items))
        follow_inside(stream, "_iterator", answer())
        async for item in stream:
            assert item in items

    if status == "ok":
        asyncio.run(run())
    else:
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(run())
    assert captured.step("llm").status == status


def test_an_asynchronous_generator_that_is_left_early_is_cancelled(captured: Capture) -> None:
    async def run() -> None:
        generator = follow_async_generator(words_later("a", "b"), answer())
        assert inspect.isasyncgen(generator)
        async with aclosing(generator):
            async for _ in generator:
                break

    asyncio.run(run())
    step = captured.step("llm")
    assert (step.status, step.output) == ("cancelled", ["a"])


def test_a_task_that_is_cancelled_while_it_reads_cancels_the_step(captured: Capture) -> None:
    async def never() -> AsyncGenerator[Any, None]:
        yield "a"
        await asyncio.Event().wait()

    async def run() -> None:
        stream = Stream(never())
        follow_inside(stream, "_iterator", answer())

        async def read() -> None:
            async for _ in stream:
                started.set()

        started = asyncio.Event()
        task = asyncio.ensure_future(read())
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert captured.step("llm").status == "cancelled"


def test_reads_run_inside_the_step_and_the_consumer_outside(captured: Capture) -> None:
    seen: list[Any] = []

    def reading() -> Iterator[int]:
        for number in range(2):
            seen.append(current_step())
            yield number

    call = answer()
    for _ in follow_generator(reading(), call):
        assert current_step() is None
    assert seen == [call.step, call.step]


def test_a_collector_that_fails_does_not_stop_the_stream(captured: Capture, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Answer):
        __slots__ = ()

        def take(self, item: Any) -> bool:
            raise KeyError("take")

        def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
            raise KeyError("close")

    call = Broken.start(Kind.LLM, "answer", source="library")
    assert call is not None
    assert list(follow_generator(words("a", "b"), call)) == ["a", "b"]
    assert captured.step("llm").status == "ok"
    assert caplog.records


def test_an_attribute_that_holds_no_iterator_is_left_alone() -> None:
    with capture():
        stream = Stream([1, 2])
        assert follow_inside(stream, "_iterator", answer()) is None
        assert follow_inside(stream, "_missing", answer()) is None
        assert stream._iterator == [1, 2]
