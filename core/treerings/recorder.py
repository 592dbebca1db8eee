"""The recorder: takes events on the program's threads, turns them into stored steps on one of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .clock import Clock, SystemClock
from .context import OpenStep, current_labels
from .delivery import Delivery
from .errors import StopWorkflow
from .events import Event, Kind, Status, StepEnded, StepStarted, StepUpdated
from .records import Step
from .registry import Processor, Registry
from .snapshot import error_text, snapshot
from .tree import Forest
from .usage import Usage

__all__ = ["FlushReport", "Recorder", "add_caretaker", "add_drain"]

logger = logging.getLogger("treerings")

BATCH = 2_000
"""Events that are worked on at a time."""


_caretakers: list[Callable[[Recorder], None]] = []


def add_caretaker(look: Callable[[Recorder], None]) -> None:
    """Have `look(recorder)` called by the worker about twice a second while steps are open, and before the last are closed.

    There an integration ends what its framework left without an end. It must be quick; what it raises is logged.
    """
    if look not in _caretakers:
        _caretakers.append(look)


_drains: list[Callable[[float | None], None]] = []


def add_drain(wait: Callable[[float | None], None]) -> None:
    """Have `wait(seconds)` called on the thread of whoever flushes or closes a recorder, before that begins.

    There an integration waits until what its framework said was told to us, where it tells on threads of its own. None
    is no limit of the caller's: it must come back then too, also when called on those threads. What it raises is logged.
    """
    if wait not in _drains:
        _drains.append(wait)


def _drain(seconds: float | None) -> None:
    for wait in _drains:
        try:
            wait(seconds)
        except Exception as error:  # as with caretakers
            logger.error("A drain failed: %r", wait, exc_info=error)


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What became of the steps that were said so far, each counted once: recorded = stored + pending + dropped."""

    recorded: int
    stored: int
    pending: int
    """Waiting for the store, in memory or on disk."""
    dropped: int
    """Lost: the store and the disk both refused, or an end came whose start never did."""
    problem: str | None = None
    """Why the store cannot be written, if it cannot."""

    def __str__(self) -> str:
        text = f"{self.recorded} recorded, {self.stored} stored, {self.pending} pending, {self.dropped} dropped"
        return f"{text} ({self.problem})" if self.problem else text


class _Refusing(deque[Event]):
    """The queue of a closed recorder: always empty."""

    def __init__(self, refused: Callable[[Event], None]) -> None:
        super().__init__(maxlen=0)
        self.append = refused  # type: ignore[method-assign]  # an emitter's call costs nothing more while it is open


class Recorder:
    """Records steps; usually one a process, see `treerings.current_recorder`.

    `start`, `update` and `end` are for integrations and for `treerings.step`; they build an event and `emit` it.
    `emit` appends to a queue and returns: one worker thread, started at the first event, wakes up, gathers for
    `flush_interval` seconds and then works on the batch. When `max_queue` events wait, the emitting thread does a share
    of the work before it goes on, so nothing is dropped. Everything may be called from any thread and from signal-free
    code of any event loop. A forked child starts with an empty queue and a store of its own.
    """

    def __init__(
        self,
        delivery: Callable[[], Delivery],
        *,
        registry: Registry,
        settle: Callable[[Step], None] | None = None,
        content: Processor | None = None,
        clock: Clock | None = None,
        flush_interval: float = 0.1,
        max_queue: int = 20_000,
        strict: bool = False,
        sample: float = 1.0,
        enabled: bool = True,
        forest: Callable[[], Forest] = Forest,
    ) -> None:
        self.enabled = enabled
        """Whether anything is recorded; see `treerings.disable`."""
        self.registry = registry
        self.clock = clock or SystemClock()
        self._new_delivery = delivery
        self._new_forest = forest
        self._settle = settle
        self._content = content
        self._flush_interval = flush_interval
        self._max_queue = max_queue
        self._strict = strict
        self._sample = sample
        self._guarded = False
        self._ask_plugins = self._ask_serializers
        self.serialize: Callable[[Any], Any] | None = None
        """Asks plugins for the plain form of an object; None while no plugin answers."""
        self._forking = False
        self._parents: object = None
        self._closed = False
        self._started = False
        self._begin()

    def _begin(self) -> None:
        """Everything that belongs to this process and not to its parent."""
        self._pid = os.getpid()
        self._queue: deque[Event] = deque()
        self._forest = self._new_forest()
        self._delivery = self._new_delivery()
        self._recorded = 0
        self._lost = 0
        self._swept_ns = 0
        self._working = threading.Lock()
        self._room = threading.Event()
        """Set when a batch was taken from the queue."""
        self._worker_id: int | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._flush_now = threading.Event()
        self._asleep = True
        self._worker: threading.Thread | None = None

    # -- saying things --------------------------------------------------------------------------------------------

    def start(
        self,
        kind: Kind,
        name: str,
        *,
        source: str,
        parent: OpenStep | None = None,
        input: Any = None,
        model: str | None = None,
        provider: str | None = None,
        labels: Mapping[str, str] | None = None,
        attributes: Mapping[str, Any] | None = None,
        expected: OpenStep | None = None,
        time_ns: int | None = None,
    ) -> OpenStep:
        """Say that a step starts now, under `parent` or as the root of a new workflow.

        `input` and `attributes` must be plain bounded data: take them through `treerings.snapshot.snapshot`. The labels in
        force are added to `labels`. `expected` is what `expect` gave for this step; `time_ns` is when it started (UTC),
        where a framework says so later. Raises nothing but `StopWorkflow` of a guard; the step is then recorded as cancelled.
        """
        clock = self.clock
        if expected is not None:
            step = expected
            step.kind, step.name, step.start_clock_ns = kind, name, clock.monotonic_ns()
            if parent is not None and parent.workflow_id == step.workflow_id:
                step.parent = parent
        else:
            step_id = clock.new_id()
            if parent is None:
                workflow_id, sampled = step_id, self._sampled(step_id)
            else:
                workflow_id, sampled = parent.workflow_id, parent.sampled
            step = OpenStep(step_id, workflow_id, parent, kind, name, source, clock.monotonic_ns(), sampled)
        if time_ns is None:
            time_ns = clock.time_ns()
        else:
            step.start_clock_ns = clock.at(time_ns)
        if not step.sampled:
            return step
        in_force = current_labels()
        if in_force is not None:
            labels = {**labels, **in_force} if labels else in_force
        above = step.parent
        event = StepStarted(
            step.id,
            step.workflow_id,
            None if above is None else above.id,
            kind,
            name,
            source,
            time_ns,
            step.start_clock_ns,
            clock.next_sequence(),
            input,
            model,
            provider,
            labels,
            attributes,
        )
        if self._guarded:
            self._ask_guards(step, event)
        self.emit(event)
        return step

    def expect(self, kind: Kind, name: str, *, source: str, parent: OpenStep | None = None) -> OpenStep:
        """A step whose start will be said later, with `start(expected=...)`; nothing is recorded yet.

        For frameworks that tell us after their code has gone on: what runs inside in the meantime has its parent already.
        It is in the workflow of `parent` for good; another parent in that workflow may be given to `start`.
        """
        step_id = self.clock.new_id()
        workflow_id = step_id if parent is None else parent.workflow_id
        sampled = self._sampled(step_id) if parent is None else parent.sampled
        return OpenStep(step_id, workflow_id, parent, kind, name, source, self.clock.monotonic_ns(), sampled)

    def _sampled(self, workflow_id: str) -> bool:
        return self._sample >= 1.0 or int(workflow_id[-8:], 16) < self._sample * 0x1_0000_0000

    def update(
        self,
        step: OpenStep,
        *,
        kind: Kind | None = None,
        name: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        input: Any = None,
        usage: Usage | None = None,
        first_token_ns: int | None = None,
        labels: Mapping[str, str] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what became known about a step; what is None is left as it is."""
        if kind is not None:
            step.kind = kind
        if name is not None:
            step.name = name
        if not step.sampled:
            return
        clock = self.clock
        self.emit(
            StepUpdated(
                step.id,
                step.workflow_id,
                clock.time_ns(),
                clock.monotonic_ns(),
                clock.next_sequence(),
                kind,
                name,
                model,
                provider,
                input,
                usage,
                first_token_ns,
                labels,
                attributes,
            )
        )

    def end(
        self,
        step: OpenStep,
        *,
        status: Status = Status.OK,
        output: Any = None,
        usage: Usage | None = None,
        model: str | None = None,
        provider: str | None = None,
        error: BaseException | None = None,
        input: Any = None,
        kind: Kind | None = None,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        time_ns: int | None = None,
    ) -> None:
        """Say that a step ended now, or at `time_ns` (UTC). A second end of the same step is ignored."""
        if step.ended:
            return
        step.ended = True
        if not step.sampled:
            return
        clock = self.clock
        self.emit(
            StepEnded(
                step.id,
                step.workflow_id,
                clock.time_ns() if time_ns is None else time_ns,
                clock.monotonic_ns() if time_ns is None else clock.at(time_ns),
                clock.next_sequence(),
                status,
                output,
                usage,
                model,
                provider,
                None if error is None else type(error).__qualname__,
                None if error is None else error_text(error),
                input,
                kind,
                name,
                attributes,
            )
        )
        if self._strict:
            self._write_through()

    def snapshot(self, value: Any) -> Any:
        """A payload as plain bounded data; plugins that implement `serialize_value` are asked for unknown types."""
        return snapshot(value, serialize=self.serialize)

    def emit(self, event: Event) -> None:
        """Take an event. The forest owns it from here on: do not use it again."""
        queue = self._queue
        queue.append(event)
        if self._asleep:
            self._rouse()
        elif len(queue) > self._max_queue:
            self._help()

    # -- the worker -----------------------------------------------------------------------------------------------

    def _rouse(self) -> None:
        """Wake the worker, or start it at the first event."""
        self._asleep = False
        if self._worker is not None:
            self._wake.set()
            return
        with self._starting:
            if self._worker is not None or self._closed:
                self._wake.set()
                return
            worker = threading.Thread(target=self._work, name="treerings", daemon=True)
            try:
                worker.start()
            except RuntimeError:  # no threads any more: the interpreter is going down, the exit's flush does the work
                self._asleep = True
                if len(self._queue) > self._max_queue:
                    self._help()
                return
            self._worker = worker

    def _work(self) -> None:
        while not self._closed:
            self._flush_now.wait(self._flush_interval)
            self._flush_now.clear()
            self._round()
            if self._queue or not self._idle():
                continue
            self._asleep = True
            if self._queue:  # came between the two lines above
                self._asleep = False
                continue
            self._wake.wait(None if not len(self._forest) else 1.0)
            self._wake.clear()
            self._asleep = False

    def _idle(self) -> bool:
        return self._delivery.idle

    def _round(self) -> None:
        try:
            with self._working:
                self._worker_id = threading.get_ident()
                try:
                    self._process()
                finally:
                    self._worker_id = None
        except Exception as error:  # a bug of ours must not end the worker
            logger.error("A batch could not be worked on", exc_info=error)

    def _help(self) -> None:
        """The queue is full: work on a batch on this thread or, while the worker is at one, wait until it took some."""
        if self._worker_id == threading.get_ident():
            return  # a plugin that emits while it is told things: the worker is already at it
        while len(self._queue) > self._max_queue:
            if self._working.acquire(blocking=False):
                try:
                    self._worker_id = threading.get_ident()
                    if not self._started:
                        self._start_plugins()
                    self._apply()
                    self._record()
                except Exception as error:  # as in _round
                    logger.error("A batch could not be worked on", exc_info=error)
                finally:
                    self._worker_id = None
                    self._working.release()
            else:
                self._room.clear()
                self._room.wait(0.05)

    def _write_through(self) -> None:
        """Do all the work that waits on this thread: what was said must be on disk now."""
        if self._worker_id != threading.get_ident():
            self._round()

    def _process(self, *, last: bool = False) -> None:
        """Work on everything that is in the queue at the moment; `last` before what is open will be closed."""
        if not self._started:
            self._start_plugins()
        now_ns = self.clock.time_ns()
        sweeps = last or now_ns - self._swept_ns >= 500_000_000
        if sweeps:
            self._ask_caretakers()
        for _ in range(len(self._queue) // BATCH + 1):
            self._apply()
            self._record()
        if sweeps:
            self._swept_ns = now_ns
            self._forest.sweep(now_ns)
            self._record()
        self._delivery.attempt()

    def _ask_caretakers(self) -> None:
        for look in _caretakers:
            try:
                look(self)
            except Exception as error:  # an integration's failure must not stop the others' steps
                logger.error("A caretaker failed: %r", look, exc_info=error)

    def _start_plugins(self) -> None:
        self._started = True
        self.registry.load()
        self.plugins_changed()
        self.registry.tell("startup", recorder=self)

    def _apply(self) -> None:
        popleft = self._queue.popleft
        apply = self._forest.apply
        for _ in range(min(BATCH, len(self._queue))):
            event = popleft()
            try:
                apply(event)
            except Exception as error:  # an event that is none
                self._lost += 1
                logger.error("An event could not be understood and is lost: %r", type(event), exc_info=error)
        self._room.set()

    def _record(self) -> None:
        steps = self._forest.collect(self._settle)
        if steps:
            new = self._forest.take_new()
            self._recorded += new
            for name, processor in self.registry.processors.items():
                self._run_processor(name, processor, steps)
            if self._content is not None:
                self._run_processor("content", self._content, steps)
            self._delivery.send(steps, new)
            if self.registry.implemented("steps_recorded"):
                self.registry.tell("steps_recorded", steps=steps)
        finished = self._forest.take_finished()
        if finished and self.registry.implemented("workflow_finished"):
            for tree in finished:
                self.registry.tell("workflow_finished", workflow=self._forest.workflow(tree))

    def _run_processor(self, name: str, processor: Processor, steps: list[Step]) -> None:
        for step in steps:
            try:
                processor(step)
            except Exception as error:  # fail closed: what could not be cleaned is not shown
                step.input = step.output = step.error = None
                step.attributes = {"processor_failed": name}
                logger.error("Processor %r failed; the step's content is removed", name, exc_info=error)

    # -- waiting and ending ---------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> FlushReport:
        """Wait until everything said so far is stored, or `timeout` seconds have passed; the numbers then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._worker_id == threading.get_ident():
            return self.report()
        _drain(timeout)
        while True:
            left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._working.acquire(timeout=left):
                return self.report()
            try:
                self._worker_id = threading.get_ident()
                self._process()
                done = self._delivery.attempt(force=True)
            except Exception as error:  # as in _round
                logger.error("A batch could not be worked on", exc_info=error)
                return self.report()
            finally:
                self._worker_id = None
                self._working.release()
            if done or deadline is None or time.monotonic() >= deadline:
                return self.report()
            time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))

    def settle(self) -> FlushReport:
        """Close what never ended, let go of all workflows, store them."""
        _drain(None)
        with self._working:
            self._worker_id = threading.get_ident()
            try:
                self._process(last=True)
                self._forest.close_all()
                self._record()
            finally:
                self._worker_id = None
        return self.report()

    def use_delivery(self, delivery: Callable[[], Delivery]) -> None:
        """Deliver elsewhere; to be called before the first event."""
        self._new_delivery = delivery
        self._delivery = delivery()

    def report(self) -> FlushReport:
        """The numbers as they stand."""
        delivery = self._delivery
        dropped = delivery.dropped + self._lost + self._forest.lost
        return FlushReport(
            self._recorded + self._lost + self._forest.lost,
            delivery.stored,
            delivery.waiting,
            dropped,
            delivery.problem,
        )

    def close(self, timeout: float | None = None) -> FlushReport:
        """Store what is there, close what never ended as `incomplete`, tell plugins, release the store. Later events are lost."""
        if self._closed or self._worker_id == threading.get_ident():  # a plugin that is being told cannot close
            return self.report()
        _drain(timeout)
        self._closed = True
        self._wake.set()
        self._flush_now.set()
        if not self._working.acquire(timeout=-1 if timeout is None else timeout):
            logger.error("The end does not wait for the store any longer: %s", self.report())
            return self.report()
        try:
            self._worker_id = threading.get_ident()
            try:
                if self._queue or self._started:
                    self._process(last=True)
                    self._forest.close_all()
                    self._record()
                    self.registry.tell("shutdown", recorder=self)
                    self.registry.forget_history()
            except Exception as error:  # as in _round
                logger.error("The last batch could not be worked on", exc_info=error)
            self._queue = _Refusing(self._lose)
            self._delivery.close()
        finally:
            self._worker_id = None
            self._working.release()
        worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join(timeout=1.0)
        return self.report()

    def _lose(self, event: Event) -> None:
        """An event came after the end. A step that never was recorded is lost; what ends one that was is not needed."""
        self._lost += isinstance(event, StepStarted)

    @property
    def problem(self) -> str | None:
        """Why the store cannot be written at the moment, or None."""
        return self._delivery.problem

    def before_fork(self) -> None:
        """Wait for the end of the batch in work, so that the child does not inherit half of one, nor half an import."""
        self._forking = self._worker_id != threading.get_ident() and self._working.acquire(timeout=5)
        self._delivery.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._forking:
            self._forking = False
            self._working.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: what the parent said is the parent's to store. Its connection is kept, unused, until the end."""
        self._parents = (self._parents, self._delivery)
        self._started = False
        self.registry.forget_history()
        self._begin()

    # -- guards and serializers -----------------------------------------------------------------------------------

    def plugins_changed(self) -> None:
        """Look again which hooks on the program's threads are in use; called after a plugin came or went."""
        self._guarded = self.registry.implemented("step_starting")
        self.serialize = self._ask_plugins if self.registry.implemented("serialize_value") else None

    def _ask_serializers(self, value: Any) -> Any:
        return self.registry.ask("serialize_value", value=value)

    def _ask_guards(self, step: OpenStep, event: StepStarted) -> None:
        try:
            self.registry.guard("step_starting", step=event)
        except StopWorkflow as stop:
            self.emit(event)
            self.end(step, status=Status.CANCELLED, error=stop, attributes={"stopped": True})
            raise
