"""The tracer that haystack tells its operations to: each becomes a step while it runs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from haystack.tracing.tracer import Span, Tracer
from treerings import Kind, Recorder, StopWorkflow, runtime
from treerings.context import OpenStep, current_step, enter, innermost, leave

from .operations import SOURCE, Operation, kind_of

__all__ = ["StepSpan", "StepTracer"]

logger = logging.getLogger("treerings")

_span: ContextVar[StepSpan | None] = ContextVar("treerings_haystack_span", default=None)


class StepSpan(Span):
    """What haystack says about one operation, kept until its end; and the span of another tracer, told the same."""

    def __init__(self, inner: Span | None, parent: StepSpan | None = None) -> None:
        self._inner = inner
        self.parent = parent
        self.operation: Operation | None = None
        self.step: OpenStep | None = None
        self.asking: Operation | None = None
        """Of a turn of an agent: its model call, which asks for its tool calls."""

    @property
    def is_open_agent(self) -> bool:
        """Whether this is a component that is an agent: its run is the component's."""
        operation, step = self.operation, self.step
        return operation is not None and operation.is_agent and step is not None and not step.ended

    def set_tag(self, key: str, value: Any) -> None:
        self._take(key, value)
        if self._inner is not None:
            self._inner.set_tag(key, value)

    def set_content_tag(self, key: str, value: Any) -> None:
        """Contents are taken whatever haystack's own switch says: our settings decide what is kept of them."""
        self._take(key, value)
        if self._inner is not None:
            self._inner.set_content_tag(key, value)

    def raw_span(self) -> Any:
        return self if self._inner is None else self._inner.raw_span()

    def get_correlation_data_for_logs(self) -> dict[str, Any]:
        return {} if self._inner is None else self._inner.get_correlation_data_for_logs()

    def __getattr__(self, name: str) -> Any:
        inner = self.__dict__.get("_inner")
        if inner is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(inner, name)

    def _take(self, key: str, value: Any) -> None:
        if self.operation is None:
            return
        try:
            self.operation.take(runtime.current_recorder(), self.step, key, value)
        except Exception as error:
            report("A tag", error)


class StepTracer(Tracer):
    """Records every operation; one that haystack had before is told everything as well."""

    def __init__(self, inner: Tracer | None) -> None:
        self.inner = inner
        self.active = True

    @contextlib.contextmanager
    def trace(
        self, operation_name: str, tags: dict[str, Any] | None = None, parent_span: Span | None = None
    ) -> Iterator[Span]:
        parent = parent_span if isinstance(parent_span, StepSpan) else None
        with self._inner_trace(operation_name, tags, parent_span) as inner:
            span = StepSpan(inner, parent or _span.get())
            self._begin(span, operation_name, tags or {}, parent)
            # an asynchronous pipeline's operation lasts over the yields of a generator: its context is the consumer's
            lasts = (tags or {}).get("haystack.pipeline.execution_mode") == "async"
            step_token = enter(span.step) if span.step is not None and not lasts else None
            span_token = None if lasts else _span.set(span)
            try:
                yield span
            except BaseException as error:
                self._end(span, error)
                raise
            else:
                self._end(span, None)
            finally:
                if step_token is not None:
                    leave(step_token)
                if span_token is not None:
                    with contextlib.suppress(ValueError):
                        _span.reset(span_token)

    def current_span(self) -> Span | None:
        span = _span.get()
        if span is not None:
            return span
        return None if self.inner is None else self.inner.current_span()

    @contextlib.contextmanager
    def _inner_trace(self, name: str, tags: dict[str, Any] | None, parent: Span | None) -> Iterator[Span | None]:
        if self.inner is None:
            yield None
            return
        given = parent._inner if isinstance(parent, StepSpan) else parent
        with self.inner.trace(name, tags=tags, parent_span=given) as span:
            yield span

    def _begin(self, span: StepSpan, name: str, tags: dict[str, Any], parent: StepSpan | None) -> None:
        try:
            recorder = runtime.current_recorder()
            if self.active and recorder.enabled:
                self._start(recorder, span, name, tags, parent)
        except StopWorkflow:
            raise
        except Exception as error:
            report("A start", error)

    def _start(
        self, recorder: Recorder, span: StepSpan, name: str, tags: dict[str, Any], parent: StepSpan | None
    ) -> None:
        above = span.parent
        if name == "haystack.agent.step" and above is not None:
            span.step = above.step  # a turn: its calls belong to the agent
            return
        if name == "haystack.agent.run" and above is not None and above.is_open_agent:
            span.step, span.operation = above.step, above.operation  # the component is the agent
            return
        given = None if parent is None or parent.step is None else parent.step.nearest_open()
        kind, title, is_agent = kind_of(name, tags)
        around = innermost(given, current_step())
        if kind is Kind.WORKFLOW and around is not None and around.source == SOURCE:
            kind = Kind.CHAIN  # a pipeline inside a component
        operation = Operation(kind, tags, is_agent=is_agent, caller=None if above is None else above.asking)
        span.step = recorder.start(
            kind,
            title,
            source=SOURCE,
            parent=around,
            input=recorder.snapshot(tags.get("haystack.pipeline.input_data")),
            provider=operation.provider,
            attributes={"hidden": True} if name == "haystack.agent.hook" else None,
        )
        span.operation = operation
        operation.owner = span
        if name == "haystack.agent.step.llm" and above is not None:
            above.asking = operation

    def _end(self, span: StepSpan, error: BaseException | None) -> None:
        operation, step = span.operation, span.step
        if operation is None or step is None or operation.owner is not span or step.ended:
            return
        try:
            operation.end(runtime.current_recorder(), step, error)
        except Exception as problem:
            report("An end", problem)


_reported: set[str] = set()


def report(where: str, error: Exception) -> None:
    """Log a failure of ours once for each place: the run goes on without this event."""
    if where not in _reported:
        _reported.add(where)
        logger.error("%s of a haystack operation was not recorded (said once)", where, exc_info=error)
