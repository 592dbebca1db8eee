"""`treerings.step` around every sort of code: it records, and it changes nothing."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import treerings
from treerings import StopWorkflow, Usage, carry, step
from treerings.testing import Capture


def test_a_block_is_a_step_in_the_step_around_it(treerings_capture: Capture) -> None:
    with step("workflow", "trip"), step("task", "plan"), step("tool", "search"):
        pass
    assert treerings_capture.outline() == "workflow trip\n  task plan\n    tool search"


def test_a_call_records_its_arguments_and_its_result(treerings_capture: Capture) -> None:
    @step("tool")
    def search(query: str, *more: int, limit: int = 3, **rest: str) -> list[str]:
        return [query] * limit

    assert search("a", 7, limit=2, lang="en") == ["a", "a"]
    recorded = treerings_capture.step("tool", "search")
    assert recorded.input == {"query": "a", "more": [7], "limit": 2, "rest": {"lang": "en"}}
    assert recorded.output == ["a", "a"]


def test_the_decorator_needs_no_parentheses(treerings_capture: Capture) -> None:
    @step
    def work() -> int:
        return 1

    assert work() == 1
    assert treerings_capture.outline() == "chain work"


def plain(a: int, b: str = "x") -> bool:
    """Says so."""
    return True


async def coroutine(a: int, b: str = "x") -> bool:
    return True


def generator(a: int, b: str = "x") -> Iterator[int]:
    yield a


async def async_generator(a: int, b: str = "x") -> AsyncIterator[int]:
    yield a


@pytest.mark.parametrize("function", [plain, coroutine, generator, async_generator])
def test_a_decorated_function_looks_like_itself(function: Callable[..., Any]) -> None:
    decorated = step("tool")(function)
    assert inspect.signature(decorated) == inspect.signature(function)
    assert (decorated.__name__, decorated.__doc__, decorated.__module__) == (
        function.__name__,
        function.__doc__,
        function.__module__,
    )
    for is_one in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert is_one(decorated) == is_one(function)


def test_an_error_goes_on_and_is_recorded(treerings_capture: Capture) -> None:
    @step("tool")
    def fail() -> None:
        raise ValueError("no such city")

    with pytest.raises(ValueError, match="no such city"):
        fail()
    recorded = treerings_capture.step("tool")
    assert (recorded.status, recorded.error_type, recorded.error) == ("error", "ValueError", "no such city")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(0), asyncio.CancelledError(), GeneratorExit(), StopWorkflow("budget")]
)
def test_control_flow_is_cancelled_not_failed(treerings_capture: Capture, error: BaseException) -> None:
    with pytest.raises(type(error)), step("task", "work"):
        raise error
    assert treerings_capture.outline() == "task work cancelled"


def test_an_interrupt_of_langgraph_is_interrupted(treerings_capture: Capture) -> None:
    errors = pytest.importorskip("langgraph.errors")
    with pytest.raises(errors.GraphInterrupt), step("task", "ask"):
        raise errors.GraphInterrupt(())
    assert treerings_capture.outline() == "task ask interrupted"


def test_wrong_arguments_are_the_functions_to_refuse(treerings_capture: Capture) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        step("tool")(plain)()  # type: ignore[call-arg]


def test_recursion_nests(treerings_capture: Capture) -> None:
    @step("task")
    def down(n: int) -> int:
        return n and down(n - 1)

    down(2)
    assert treerings_capture.outline() == "task down\n  task down\n    task down"


def test_methods_of_every_sort_are_steps_without_self(treerings_capture: Capture) -> None:
    class Desk:
        @step("tool")
        def answer(self, q: str) -> str:
            return q

        @step("tool")
        @classmethod
        def make(cls, q: str) -> str:
            return cls.__name__ + q

        @step("tool")
        @staticmethod
        def static(q: str) -> str:
            return q

        @classmethod
        @step
        def inner(cls, q: str) -> str:
            return q

    assert (Desk().answer("a"), Desk.make("b"), Desk().static("c"), Desk.inner("d")) == ("a", "Deskb", "c", "d")
    assert [(s.name.rpartition(".")[2], s.input) for s in treerings_capture.steps] == [
        ("answer", {"q": "a"}),
        ("make", {"q": "b"}),
        ("static", {"q": "c"}),
        ("inner", {"q": "d"}),
    ]


async def test_callables_that_are_no_functions_are_steps(treerings_capture: Capture) -> None:
    class Adder:
        async def __call__(self, a: int) -> int:
            return a + 1

    assert await step("tool")(Adder())(1) == 2
    assert step("tool")(functools.partial(plain, b="y"))(1) is True
    assert [(s.name.rpartition(".")[2], s.status) for s in treerings_capture.steps] == [
        ("__call__", "ok"),
        ("plain", "ok"),
    ]


def test_a_class_is_refused() -> None:
    with pytest.raises(TypeError, match="decorates functions and methods, not <class"):
        step("tool")(type("Tool", (), {}))


def test_an_unknown_kind_says_which_exist() -> None:
    with pytest.raises(ValueError, match=r"^No kind of step 'tol'\. Choose from: workflow, agent, task"):
        step("tol")


def test_hostile_arguments_and_results_are_passed_untouched(treerings_capture: Capture) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

        __str__ = __eq__ = __hash__ = __len__ = __bool__ = __iter__ = __repr__  # type: ignore[assignment]

    thing = Hostile()
    assert step("tool")(lambda x: x)(thing) is thing
    assert treerings_capture.step("tool").status == "ok"


@pytest.mark.parametrize("method", ["snapshot", "start", "end", "update"])
def test_a_bug_of_ours_does_not_reach_the_program(
    treerings_capture: Capture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise MemoryError("ours")

    monkeypatch.setattr(treerings_capture.recorder, method, fail)

    @step("tool")
    def work(a: int) -> int:
        with step("task", "inner", input=a) as inner:
            inner.set(model="m", note=1)
        return a

    assert work(3) == 3
    assert "recorded" in caplog.text


def test_an_own_model_call_counts_and_costs(treerings_capture: Capture) -> None:
    with step("llm", "ask", model="gpt-4o-mini", provider="openai") as call:
        call.set(usage=Usage(input_tokens=1_000_000, output_tokens=0), output="answer", temperature=0.2)
    recorded = treerings_capture.step("llm")
    assert recorded.cost_usd is not None
    assert (recorded.cost_usd > 0, recorded.counted, recorded.estimated) == (True, True, False)
    assert (recorded.output, recorded.attributes) == ("answer", {"temperature": 0.2})


def test_what_is_set_after_the_end_is_ignored(treerings_capture: Capture) -> None:
    with step("task", "work") as work:
        pass
    work.set(name="late", note=1)
    assert treerings_capture.outline() == "task work"


def test_nothing_is_recorded_while_disabled(treerings_capture: Capture) -> None:
    treerings.disable()
    with step("task", "unseen") as unseen:
        assert unseen.id is None
    treerings.enable()
    with step("task", "seen") as seen:
        assert seen.id == seen.workflow_id
    assert treerings_capture.outline() == "task seen"


# -- generators ---------------------------------------------------------------------------------------------------


def talk(log: list[Any]) -> Any:
    """A generator that uses all of the protocol."""
    try:
        got = yield 1
        log.append(got)
        try:
            yield 2
        except ValueError as error:
            log.append(str(error))
            yield 3
        return "returned"
    finally:
        log.append("closed")


def test_a_generator_keeps_its_protocol(treerings_capture: Capture) -> None:
    log: list[Any] = []
    talking = step("tool")(talk)(log)
    assert (next(talking), talking.send("sent"), talking.throw(ValueError("thrown"))) == (1, 2, 3)
    with pytest.raises(StopIteration) as stopped:
        next(talking)
    assert (stopped.value.value, log) == ("returned", ["sent", "thrown", "closed"])
    recorded = treerings_capture.step("tool")
    assert (recorded.status, recorded.output) == ("ok", {"items": 3})


def test_a_generator_that_is_closed_early_is_cancelled(treerings_capture: Capture) -> None:
    log: list[Any] = []
    talking = step("tool")(talk)(log)
    next(talking)
    talking.close()
    recorded = treerings_capture.step("tool")
    assert (recorded.status, recorded.output, log) == ("cancelled", {"items": 1}, ["closed"])


def test_a_generator_that_fails_is_an_error(treerings_capture: Capture) -> None:
    @step("tool")
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        list(fail())
    assert treerings_capture.step("tool").error == "midway"


def test_a_generator_that_is_never_started_is_no_step(treerings_capture: Capture) -> None:
    step("tool")(generator)(1)
    assert treerings_capture.steps == []


def test_the_consumer_of_a_generator_is_not_inside_of_it(treerings_capture: Capture) -> None:
    @step("tool")
    def produce() -> Iterator[int]:
        for number in range(2):
            with step("task", f"make {number}"):
                pass
            yield number

    with step("workflow", "run"):
        for number in produce():
            with step("task", f"use {number}"):
                pass
    assert treerings_capture.outline() == (
        "workflow run\n  tool produce\n    task make 0\n    task make 1\n  task use 0\n  task use 1"
    )


async def test_an_async_generator_keeps_its_protocol(treerings_capture: Capture) -> None:
    log: list[Any] = []

    @step("tool")
    async def talk_async() -> Any:
        try:
            log.append((yield 1))
            try:
                yield 2
            except ValueError as error:
                log.append(str(error))
                yield 3
        finally:
            log.append("closed")

    talking = talk_async()
    assert [await anext(talking), await talking.asend("sent"), await talking.athrow(ValueError("thrown"))] == [1, 2, 3]
    with pytest.raises(StopAsyncIteration):
        await anext(talking)
    assert log == ["sent", "thrown", "closed"]
    assert treerings_capture.step("tool").output == {"items": 3}


async def test_an_async_generator_that_is_left_early_is_cancelled(treerings_capture: Capture) -> None:
    decorated = step("tool")(async_generator)
    stream: Any = decorated(1)
    async for _ in stream:
        break
    await stream.aclose()
    recorded = treerings_capture.step("tool")
    assert (recorded.status, recorded.output) == ("cancelled", {"items": 1})


# -- tasks and threads --------------------------------------------------------------------------------------------


async def test_gathered_tasks_are_children_of_the_step_around_them(treerings_capture: Capture) -> None:
    @step("tool")
    async def fetch(n: int) -> int:
        await asyncio.sleep(0)
        with step("task", f"parse {n}"):
            await asyncio.sleep(0)
        return n

    with step("workflow", "run"):
        assert await asyncio.gather(fetch(1), fetch(2)) == [1, 2]
    assert treerings_capture.outline() == "workflow run\n  tool fetch\n    task parse 1\n  tool fetch\n    task parse 2"


async def test_a_cancelled_task_is_cancelled(treerings_capture: Capture) -> None:
    started = asyncio.Event()

    @step("tool")
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert treerings_capture.step("tool").status == "cancelled"


async def test_to_thread_carries_the_step_along(treerings_capture: Capture) -> None:
    async with step("workflow", "run"):
        await asyncio.to_thread(step("tool")(plain), 1)
    assert treerings_capture.outline() == "workflow run\n  tool plain"


def test_carry_takes_the_step_into_pools_and_threads(treerings_capture: Capture) -> None:
    work = step("tool")(plain)
    with step("workflow", "run"), ThreadPoolExecutor(2) as pool, treerings.labels(team="a"):
        assert list(pool.map(carry(work), [1, 2])) == [True, True]
        thread = threading.Thread(target=carry(work), args=(3,))
        thread.start()
        thread.join()
    assert treerings_capture.outline(show=["labels"]) == (
        "workflow run labels={}\n" + "\n".join(["  tool plain labels={'team': 'a'}"] * 3)
    )


def test_a_bare_thread_begins_a_workflow_of_its_own(treerings_capture: Capture) -> None:
    with step("workflow", "run"):
        thread = threading.Thread(target=step("tool")(plain), args=(1,))
        thread.start()
        thread.join()
    assert treerings_capture.outline() == "workflow run\n\ntool plain"


def test_a_step_that_is_left_in_another_context_leaves_this_one_usable(treerings_capture: Capture) -> None:
    outer = step("workflow", "run")
    outer.__enter__()
    carry(lambda: outer.__exit__(None, None, None))()
    with step("task", "next"):
        pass
    assert treerings_capture.outline() == "workflow run\n\ntask next"


def test_a_step_ends_on_the_recorder_on_which_it_began(treerings_capture: Capture) -> None:
    from treerings.testing import capture

    with step("workflow", "run"), capture() as other:
        inner = step("task", "inner").__enter__()
    inner.__exit__(None, None, None)
    assert treerings_capture.outline() == "workflow run"
    assert treerings_capture.flush().dropped == 0
    assert other.recorder.report().dropped == 0
