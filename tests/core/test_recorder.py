"""The recorder: nothing dropped, numbers that add up, plugins kept apart."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from treerings import FlushReport, Kind, Recorder, Status, Step, StepStarted, StopWorkflow, StoreError, hookimpl
from treerings.delivery import Delivery
from treerings.memory import MemoryStore
from treerings.registry import Registry
from treerings.spool import Spool
from treerings.testing import DeterministicClock

Make = Callable[..., Recorder]


class Flaky(MemoryStore):
    """Fails while `problem` is set."""

    problem: Exception | None = None

    def write(self, steps: Sequence[Step]) -> None:
        if self.problem is not None:
            raise self.problem
        super().write(steps)


@pytest.fixture
def store() -> Flaky:
    return Flaky()


@pytest.fixture
def registry() -> Registry:
    return Registry(entry_points=False)


@pytest.fixture
def make(store: Flaky, registry: Registry, tmp_path: Path) -> Iterator[Make]:
    made: list[Recorder] = []

    def new(**options: Any) -> Recorder:
        recorder = Recorder(
            lambda: Delivery(lambda: store, Spool(tmp_path / "spool", "a")),
            registry=registry,
            **{"clock": DeterministicClock(), **options},
        )
        recorder.plugins_changed()
        made.append(recorder)
        return recorder

    yield new
    for recorder in made:
        recorder.close(10)


def a_plugin(**hooks: Callable[..., Any]) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def say(recorder: Recorder, count: int = 1, **start: Any) -> None:
    for number in range(count):
        step = recorder.start(Kind.TOOL, f"s{number}", source="test", **start)
        recorder.end(step)


def adds_up(report: FlushReport) -> bool:
    return report.recorded == report.stored + report.pending + report.dropped


# -- nothing is dropped -------------------------------------------------------------------------------------------


def test_many_threads_and_a_tiny_queue_drop_nothing(make: Make, store: Flaky) -> None:
    recorder = make(max_queue=3, flush_interval=60)
    threads = [threading.Thread(target=say, args=(recorder, 200)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush() == FlushReport(recorded=1600, stored=1600, pending=0, dropped=0)
    assert {step.status for step in store._steps.values()} == {Status.OK}


def test_a_full_queue_makes_the_emitter_help(make: Make, store: Flaky) -> None:
    recorder = make(max_queue=10, flush_interval=60)
    say(recorder, 50)
    assert len(recorder._queue) <= 11
    assert len(store._steps) >= 40


def test_everything_said_before_flush_is_stored_by_it(make: Make, store: Flaky) -> None:
    recorder = make(flush_interval=60)
    say(recorder, 5)
    assert str(recorder.flush()) == "5 recorded, 5 stored, 0 pending, 0 dropped"


def test_a_failing_store_is_pending_and_then_stored(make: Make, store: Flaky) -> None:
    recorder = make(flush_interval=60)
    store.problem = StoreError("down")
    say(recorder, 5)
    report = recorder.flush(0)
    assert (str(report), adds_up(report)) == ("5 recorded, 0 stored, 5 pending, 0 dropped (down)", True)
    store.problem = None
    assert recorder.flush() == FlushReport(recorded=5, stored=5, pending=0, dropped=0)


def test_an_end_that_waits_for_the_store_is_delivered_without_further_events(make: Make, store: Flaky) -> None:
    recorder = make(flush_interval=60)
    step = recorder.start(Kind.TOOL, "a", source="test")
    recorder.flush()
    store.problem = StoreError("down")
    recorder.end(step)
    recorder.flush(0)
    assert not recorder._idle()


def test_an_end_without_a_start_is_dropped_and_counted(make: Make) -> None:
    recorder = make(flush_interval=60)
    say(recorder)
    step = recorder.start(Kind.TOOL, "elsewhere", source="test")
    recorder._queue.pop()
    recorder.end(step)
    report = recorder.settle()
    assert (report.recorded, report.stored, report.dropped) == (2, 1, 1)


def test_what_is_no_event_is_dropped_counted_and_said(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    recorder = make(flush_interval=60)
    recorder.emit("nonsense")  # type: ignore[arg-type]
    say(recorder)
    report = recorder.flush()
    assert (report.stored, report.dropped, adds_up(report)) == (1, 1, True)
    assert "An event could not be understood and is lost: <class 'str'>" in caplog.text


def test_close_gives_the_numbers_and_closes_what_never_ended(make: Make, store: Flaky) -> None:
    recorder = make(flush_interval=60)
    recorder.start(Kind.WORKFLOW, "open", source="test")
    assert recorder.close() == FlushReport(recorded=1, stored=1, pending=0, dropped=0)
    assert [step.status for step in store._steps.values()] == [Status.INCOMPLETE]


def test_what_is_said_after_close_is_counted_and_not_kept(make: Make, store: Flaky) -> None:
    recorder = make(max_queue=5)
    open_step = recorder.start(Kind.WORKFLOW, "open", source="test")
    recorder.close()
    recorder.end(open_step)
    say(recorder, 100)
    assert recorder.flush() == FlushReport(recorded=101, stored=1, pending=0, dropped=100)
    assert len(recorder._queue) == 0


def test_closing_twice_is_closing_once(make: Make) -> None:
    recorder = make()
    say(recorder)
    assert recorder.close() == recorder.close()


def test_a_step_that_ends_twice_ended_the_first_time(make: Make, store: Flaky) -> None:
    recorder = make()
    step = recorder.start(Kind.TOOL, "a", source="test")
    recorder.end(step, status=Status.ERROR, error=ValueError("x"))
    recorder.end(step)
    recorder.flush()
    (kept,) = store._steps.values()
    assert (kept.status, kept.error_type, kept.error) == ("error", "ValueError", "x")


def test_strict_durability_stores_before_the_end_returns(make: Make, store: Flaky) -> None:
    recorder = make(strict=True, flush_interval=60)
    say(recorder)
    assert [step.status for step in store._steps.values()] == [Status.OK]


def test_sampling_takes_or_leaves_whole_workflows(make: Make, store: Flaky) -> None:
    none, everything = make(sample=0.0), make(sample=1.0)
    for recorder in (none, everything):
        root = recorder.start(Kind.WORKFLOW, "root", source="test")
        recorder.end(recorder.start(Kind.TOOL, "child", source="test", parent=root))
        recorder.update(root, name="x")
        recorder.end(root)
    assert none.flush() == FlushReport(recorded=0, stored=0, pending=0, dropped=0)
    assert everything.flush().stored == 2


def test_several_event_loops_one_after_the_other_record(make: Make) -> None:
    recorder = make(flush_interval=60)

    async def run() -> None:
        say(recorder)
        await asyncio.sleep(0)
        say(recorder)

    for _ in range(3):
        asyncio.run(run())
    assert recorder.flush().stored == 6


def test_without_threads_the_emitter_does_the_work(make: Make, store: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = make(max_queue=5)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        say(recorder, 50)
        assert len(recorder._queue) <= 6
    assert recorder.flush().stored == 50


# -- plugins ------------------------------------------------------------------------------------------------------


def test_plugins_are_told_of_start_steps_workflows_and_end(make: Make, registry: Registry) -> None:
    told: list[str] = []
    registry.register(
        a_plugin(
            startup=lambda recorder: told.append("startup"),
            steps_recorded=lambda steps: told.append(f"steps {len(steps)}"),
            workflow_finished=lambda workflow: told.append(f"workflow {workflow.name} {workflow.totals.steps}"),
            shutdown=lambda recorder: told.append("shutdown"),
        ),
        "witness",
    )
    recorder = make(flush_interval=60)
    say(recorder)
    recorder.flush()
    recorder.close()
    assert told == ["startup", "steps 1", "workflow s0 1", "shutdown"]


def test_a_plugin_that_raises_is_said_once_and_the_others_are_told(
    make: Make, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[int] = []
    registry.register(a_plugin(steps_recorded=lambda steps: told.append(len(steps))), "good")
    registry.register(a_plugin(steps_recorded=lambda steps: 1 / 0), "bad")
    recorder = make(flush_interval=60)
    for _ in range(3):
        say(recorder)
        recorder.flush()
    assert told == [1, 1, 1]
    assert [r.getMessage().partition(" (")[0] for r in caplog.records if r.levelno >= logging.ERROR] == [
        "Plugin 'bad': steps_recorded failed: ZeroDivisionError: division by zero"
    ]


def test_a_plugin_may_record_while_it_is_told(make: Make, registry: Registry, store: Flaky) -> None:
    recorder = make(max_queue=1, strict=True, flush_interval=60)

    def steps_recorded(steps: Sequence[Step]) -> None:
        if any(step.name == "s0" and step.status == "ok" for step in steps):
            recorder.end(recorder.start(Kind.TOOL, "echo", source="test"))
            recorder.flush()
            recorder.close()

    registry.register(a_plugin(steps_recorded=steps_recorded), "echo")
    say(recorder)
    recorder.flush()
    assert sorted(step.name for step in store._steps.values()) == ["echo", "s0"]


def test_a_processor_that_raises_hides_the_content(
    make: Make, registry: Registry, store: Flaky, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register(a_plugin(register_processors=lambda register: register("redact", lambda step: 1 / 0)), "bad")
    recorder = make(flush_interval=60)
    recorder.end(
        recorder.start(Kind.TOOL, "a", source="test", input="secret", attributes={"x": "secret"}),
        output="secret",
        error=ValueError("secret"),
    )
    recorder.flush()
    (kept,) = store._steps.values()
    assert (kept.input, kept.output, kept.error, kept.attributes) == (None, None, None, {"processor_failed": "redact"})
    assert "secret" not in caplog.text
    assert "Processor 'redact' failed; the step's content is removed" in caplog.text


def test_a_processor_changes_what_everyone_sees(make: Make, registry: Registry, store: Flaky) -> None:
    def shout(step: Step) -> None:
        step.name = step.name.upper()

    registry.register(a_plugin(register_processors=lambda register: register("shout", shout)), "shout")
    recorder = make(flush_interval=60)
    say(recorder)
    recorder.flush()
    assert [step.name for step in store._steps.values()] == ["S0"]


def test_a_guard_stops_the_run_and_the_step_is_cancelled(make: Make, registry: Registry, store: Flaky) -> None:
    def step_starting(step: StepStarted) -> None:
        if step.name == "too much":
            raise StopWorkflow("the budget is spent")

    registry.register(a_plugin(step_starting=step_starting), "budget")
    recorder = make(flush_interval=60)
    with pytest.raises(StopWorkflow, match="the budget is spent"):
        recorder.start(Kind.TOOL, "too much", source="test")
    say(recorder)
    recorder.flush()
    kept = {step.name: (step.status, step.error) for step in store._steps.values()}
    assert kept == {"too much": ("cancelled", "the budget is spent"), "s0": ("ok", None)}


def test_any_other_error_of_a_guard_is_logged(make: Make, registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.register(a_plugin(step_starting=lambda step: 1 / 0), "bad")
    recorder = make(flush_interval=60)
    say(recorder)
    assert recorder.flush().stored == 1
    assert "Plugin 'bad': step_starting failed: ZeroDivisionError" in caplog.text


def test_a_plugin_gives_objects_their_plain_form(make: Make, registry: Registry) -> None:
    registry.register(a_plugin(serialize_value=lambda value: {"plain": type(value).__name__}), "plain")
    assert make().snapshot([object()]) == [{"plain": "object"}]


def test_a_bug_in_a_batch_does_not_end_the_worker(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = make(flush_interval=0.001)
    failed, stored = threading.Event(), threading.Event()
    collect = recorder._forest.collect

    def fail_once(settle: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise AssertionError("a bug")
        steps = collect(settle)
        if steps:
            stored.set()
        return steps

    monkeypatch.setattr(recorder._forest, "collect", fail_once)
    say(recorder)
    assert failed.wait(10)
    say(recorder)
    assert stored.wait(10)
    assert "A batch could not be worked on" in caplog.text


def test_a_delivery_that_never_ends_does_not_hold_up_the_end_for_ever(
    make: Make, store: Flaky, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, go_on = threading.Event(), threading.Event()
    write = store.write

    def wait(steps: Sequence[Step]) -> None:
        stuck.set()
        go_on.wait(30)
        write(steps)

    monkeypatch.setattr(store, "write", wait)
    recorder = make(flush_interval=0.001)
    say(recorder)
    assert stuck.wait(10)
    recorder.close(timeout=0.01)
    go_on.set()
    assert "The end does not wait for the store any longer: 1 recorded, 0 stored, 1 pending, 0 dropped" in caplog.text
