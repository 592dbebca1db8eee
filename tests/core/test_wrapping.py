"""Replaced methods of libraries that have no observer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import treerings
from treerings import Kind, Status, StopWorkflow, Usage
from treerings.claims import claim_call
from treerings.context import current_step
from treerings.registry import Registry
from treerings.testing import Capture, capture
from treerings.wrapping import Call, Patches, recorded, recorded_async


class Library:
    """A library as other people write them."""

    def ask(self, question: str, *, loud: bool = False) -> str:
        """Answer."""
        if question == "fail":
            raise ValueError("no answer")
        return question.upper() if loud else question

    async def ask_later(self, question: str) -> str:
        await asyncio.sleep(0)
        return self.ask(question)

    def ask_soon(self, question: str) -> Any:
        return self.ask_later(question)

    @classmethod
    def made(cls) -> str:
        return cls.__name__

    @staticmethod
    def plain(value: int) -> int:
        return value + 1


class Child(Library):
    pass


class Asking(Call):
    __slots__ = ()

    def finish(self, result: Any) -> Any:
        self.end(output=result, usage=Usage(input_tokens=3, output_tokens=1), response_id="r-1")
        return result


def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    return Asking.start(Kind.LLM, "ask", source="library", model="gpt-4o", input=args[1:])


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        yield captured


@pytest.fixture
def patches() -> Iterator[Patches]:
    patches = Patches()
    yield patches
    patches.undo()


def passing(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    return ("wrapped", function(*args, **kwargs))


def test_a_call_is_a_step_with_its_usage(captured: Capture, patches: Patches) -> None:
    assert patches.wrap(Library, "ask", recorded(begin))
    assert Library().ask("hello", loud=True) == "HELLO"
    step = captured.step("llm")
    assert (step.name, step.status, step.model, step.input, step.output) == ("ask", "ok", "gpt-4o", ["hello"], "HELLO")
    assert step.usage == Usage(input_tokens=3, output_tokens=1)
    assert step.attributes["response_id"] == "r-1"


@pytest.mark.parametrize("name", ["ask_later", "ask_soon"])
def test_an_awaited_call_is_a_step_around_its_awaiting(captured: Capture, patches: Patches, name: str) -> None:
    patches.wrap(Library, name, recorded_async(begin))
    patches.wrap(Library, "ask", recorded(begin))

    async def run() -> str:
        with treerings.step("task", "outer"):
            coroutine = getattr(Library(), name)("hello")
            assert current_step().name == "outer"  # type: ignore[union-attr]  # there is one
            return str(await coroutine)

    assert asyncio.run(run()) == "hello"
    assert captured.outline() == "task outer\n  llm ask\n    llm ask"


def test_a_call_that_fails_keeps_its_error(captured: Capture, patches: Patches) -> None:
    patches.wrap(Library, "ask", recorded(begin))
    with pytest.raises(ValueError, match="no answer"):
        Library().ask("fail")
    step = captured.step("llm")
    assert (step.status, step.error_type, step.error) == (Status.ERROR, "ValueError", "no answer")


def test_a_cancelled_call_is_no_error(captured: Capture, patches: Patches) -> None:
    patches.wrap(Library, "ask_later", recorded_async(begin))

    async def run() -> None:
        task = asyncio.ensure_future(Library().ask_later("hello"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert captured.step("llm").status is Status.CANCELLED


def test_wrapped_methods_keep_signature_name_and_kind(patches: Patches) -> None:
    before = inspect.signature(Library.ask)
    for name in ("ask", "ask_later", "made", "plain"):
        assert patches.wrap(Library, name, passing)
    assert inspect.signature(Library.ask) == before
    assert (Library.ask.__doc__, Library.ask.__qualname__) == ("Answer.", "Library.ask")
    assert inspect.iscoroutinefunction(Library.ask_later)
    assert Child.made() == ("wrapped", "Child")  # type: ignore[comparison-overlap]  # on purpose
    assert Library.plain(1) == ("wrapped", 2)  # type: ignore[comparison-overlap]  # on purpose


def test_wrapping_twice_is_wrapping_once(patches: Patches) -> None:
    assert patches.wrap(Library, "ask", passing)
    assert patches.wrap(Library, "ask", passing)
    assert Library().ask("a") == ("wrapped", "a")  # type: ignore[comparison-overlap]  # on purpose


def test_undo_gives_every_owner_its_own_back(patches: Patches) -> None:
    before = {name: vars(Library)[name] for name in ("ask", "ask_later", "made", "plain")}
    for name in before:
        patches.wrap(Library, name, passing)
    patches.wrap(Child, "ask", passing)
    library = Library()
    patches.wrap(library, "ask_soon", passing)
    patches.undo()
    assert {name: vars(Library)[name] for name in before} == before
    assert "ask" not in vars(Child)
    assert vars(library) == {}


def test_a_method_that_this_version_lacks_is_left_out(patches: Patches) -> None:
    assert not patches.wrap(Library, "ask_tomorrow", passing)
    assert not patches.wrap(str, "upper", passing)


def test_what_others_put_on_top_stays_and_ours_below_it_does_nothing(
    patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Library, "ask", Library.ask)  # gives the original back at the end
    original = Library.ask
    patches.wrap(Library, "ask", passing)
    ours = Library.ask

    def theirs(self: Any, question: str) -> Any:
        return ("theirs", ours(self, question))

    theirs.__wrapped__ = ours  # type: ignore[attr-defined]  # what functools.wraps does
    Library.ask = theirs  # type: ignore[method-assign,assignment]  # another library's patch
    patches.undo()
    assert Library().ask("a") == ("theirs", "a")  # type: ignore[comparison-overlap]  # on purpose
    assert patches.wrap(Library, "ask", passing)
    assert Library().ask("a") == ("theirs", ("wrapped", "a"))  # type: ignore[comparison-overlap]  # on purpose
    Library.ask = original  # type: ignore[method-assign]  # it takes both away
    assert patches.wrap(Library, "ask", passing)
    assert Library().ask("a") == ("wrapped", "a")  # type: ignore[comparison-overlap]  # on purpose


def test_who_kept_a_wrapped_method_gets_the_old_behaviour_after_undo(captured: Capture, patches: Patches) -> None:
    patches.wrap(Library, "ask", recorded(begin))
    kept = Library().ask
    patches.undo()
    assert kept("a") == "a"
    assert captured.workflows == []


def test_our_failure_is_not_the_programs(captured: Capture, patches: Patches, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Call):
        __slots__ = ()

        def finish(self, result: Any) -> Any:
            raise KeyError("finish")

        def fail(self, error: BaseException) -> None:
            raise KeyError("fail")

    patches.wrap(Library, "ask", recorded(lambda args, kwargs: Broken.start(Kind.LLM, "ask", source="library")))
    patches.wrap(Library, "plain", recorded(lambda args, kwargs: 1 / 0))  # type: ignore[arg-type,return-value]
    assert Library().ask("a") == "a"
    with pytest.raises(ValueError, match="no answer"):
        Library().ask("fail")
    assert Library.plain(1) == 2
    assert [step.status for step in captured.steps] == ["ok", "error"]
    assert len(caplog.records) == 3


def test_nothing_is_recorded_while_recording_is_off(captured: Capture, patches: Patches) -> None:
    patches.wrap(Library, "ask", recorded(begin))
    captured.recorder.enabled = False
    assert Library().ask("a") == "a"
    captured.recorder.enabled = True
    assert captured.workflows == []


class NoModels:
    @treerings.hookimpl
    def step_starting(self, step: treerings.StepStarted) -> None:
        raise StopWorkflow("enough")


def test_a_guard_stops_the_call_before_it_is_made(patches: Patches) -> None:
    patches.wrap(Library, "ask", recorded(begin))
    patches.wrap(Library, "ask_soon", recorded_async(begin))
    registry = Registry(entry_points=False)
    registry.register(NoModels(), "no models")
    with capture(registry=registry) as captured:
        with pytest.raises(StopWorkflow):
            Library().ask("fail")
        with pytest.raises(StopWorkflow):
            asyncio.run(Library().ask_soon("fail"))
        assert [step.status for step in captured.steps] == ["cancelled", "cancelled"]


def test_a_finished_model_call_may_be_claimed(captured: Capture, patches: Patches) -> None:
    patches.wrap(Library, "ask", recorded(begin))
    with treerings.step("agent", "asker") as agent:
        Library().ask("a")
        claimed = claim_call(str(agent.workflow_id), response_id="r-1")
    assert claimed is not None
    assert claimed.id == captured.step("llm").id
