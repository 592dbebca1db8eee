"""Spans and events of LlamaIndex as steps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from llama_index_instrumentation.span import active_span_id
from treerings import Kind, Recorder, Status
from treerings.context import OpenStep, current_step, innermost

from . import payloads, workflow_steps
from .calls import chain, end_call, said, settings_of, start_call
from .outcome import is_waiting, status_of
from .questions import asked, identity, repeats
from .roles import KINDS, provider_of, role_of
from .runs import Runs
from .spans import Span, Spans
from .streams import Streams

__all__ = ["Translator"]

SOURCE = "llamaindex"


class Translator:
    """What is known of open spans, and what their ends and events mean."""

    def __init__(self) -> None:
        self.spans = Spans()
        self.streams = Streams()
        self.runs = Runs()

    def ambient(self) -> OpenStep | None:
        """LlamaIndex's enclosing open step, for steps of other sources that start inside it."""
        span = self.spans.known(active_span_id.get())
        return None if span is None or span.around is None else span.around.nearest_open()

    def reading(self) -> OpenStep | None:
        """The step of the stream whose generator is being read here, whoever reads it."""
        span = self.streams.running()
        return None if span is None or span.around is None else span.around.nearest_open()

    # -- spans ----------------------------------------------------------------------------------------------------

    def entered(
        self,
        recorder: Recorder,
        id: str,
        arguments: Mapping[str, Any],
        instance: Any,
        parent_id: str | None,
        tags: Mapping[str, Any],
        wanted: bool = True,
    ) -> None:
        """A span begins; a root that is not `wanted` is passed over, with all below it."""
        if self.spans.open(id) is not None:
            return
        name, _, method = id[:-37].rpartition(".")
        role = role_of(instance, method) if instance is not None else ""
        parent = self._inner(self.spans.known(parent_id))
        if parent is None and role != "run":  # a version of workflows that lost its steps' parents
            run = self.runs.get(tags.get("llamaindex.run_id"))
            parent = run.span if run is not None else None
        if parent is None and not wanted:
            return
        span = Span(id, role, name or type(instance).__name__, method, parent)
        self.spans.add(span)
        if role in ("model", "embedding"):
            span.provider = provider_of(instance)
            span.request = settings_of(instance) if role == "model" else None
        elif role == "run":
            workflow_steps.start_run(self, recorder, span, arguments, instance, tags)
        elif instance is None and parent is not None and parent.role == "run" and "llamaindex.step.input_event" in tags:
            workflow_steps.start(self, recorder, span, arguments)
        elif role and not repeats(span, same := identity(role, instance)):
            span.key = (role, same)
            span.step = span.around = recorder.start(
                KINDS[role],
                same if role == "tool" else span.instance_name,
                source=SOURCE,
                parent=self.parent_of(span),
                input=payloads.take(asked(role, arguments), recorder.serialize),
            )

    def exited(self, recorder: Recorder, id: str, result: Any) -> None:
        span = self.spans.open(id)
        if span is None or span.held is not None:
            return
        if isinstance(result, asyncio.Future) and not result.done():  # a handler of a run that goes on
            result.add_done_callback(lambda future: self._done(recorder, id, future))
            return
        if span.call is not None and span.role == "model":
            if inspect.isgenerator(result) or inspect.isasyncgen(result):
                self.streams.add(result, span)  # it is read, and ends, after its span
                return
            end_call(recorder, span, result, None)
            self._release(recorder, span)
        if span.run is not None and span.role in ("node", "turn", "call", "agent step"):
            workflow_steps.end(self, recorder, span, result)
        elif span.run is not None and span.role == "run":
            workflow_steps.end_run(self, recorder, span, result, None)
        elif span.step is not None:
            stream = payloads.stream_of(result)
            if stream is not None:
                span.held = (span.step,)
                self.streams.add(stream, span)
                return
            self._end_step(recorder, span, result)
        self.spans.end(id)

    def dropped(self, recorder: Recorder, id: str, error: BaseException | None) -> None:
        span = self.spans.end(id)
        if span is None:
            return
        if span.call is not None:  # a failed call that is no stream has no event
            end_call(recorder, span, None, error)
            self._release(recorder, span, error)
        if span.role == "tool" and span.step is None and error is not None:
            self._tell_tool(span, error)
        if span.run is not None and span.role == "run":
            workflow_steps.end_run(self, recorder, span, None, error)
        elif span.step is not None and is_waiting(error):  # a tool of one's own step, which runs again
            recorder.end(span.step, attributes={"waits": True})
        elif span.step is not None:
            failed = status_of(error) is Status.ERROR
            recorder.end(span.step, status=status_of(error), error=error if failed else None)

    # -- events ---------------------------------------------------------------------------------------------------

    def model_asked(self, recorder: Recorder, event: Any, *, chat: bool) -> None:
        span = self.spans.open(event.span_id)
        if span is not None and span.call is None:
            start_call(recorder, span, event, chat=chat, parent=self.parent_of(span))

    def model_said(self, recorder: Recorder, event: Any) -> None:
        span = self.spans.open(event.span_id)
        if span is not None and span.call is not None:
            said(recorder, span.call, event.response)

    def model_answered(self, recorder: Recorder, event: Any) -> None:
        span = self.spans.open(event.span_id)
        if span is not None and span.call is not None:
            streamed = span.call.last is not None
            end_call(recorder, span, event.response, None)
            if streamed:
                self.spans.end(span.id)
            self._release(recorder, span, None, event.response)

    def failed(self, recorder: Recorder, event: Any) -> None:
        span = self.spans.open(event.span_id)
        if span is not None and span.call is not None:
            last = span.call.last
            end_call(recorder, span, None, event.exception)
            self.spans.end(span.id)
            self._release(recorder, span, event.exception, last)

    def embedding_asked(self, recorder: Recorder, event: Any) -> None:
        span = self.spans.open(event.span_id)
        if span is None:
            return
        span.batches += 1
        if span.step is None and span.role == "embedding":
            model = event.model_dict.get("model_name") or event.model_dict.get("model")
            span.step = recorder.start(
                Kind.EMBEDDING,
                span.instance_name,
                source=SOURCE,
                parent=self.parent_of(span),
                model=model if isinstance(model, str) and model != "unknown" else None,
                provider=span.provider,
                attributes={"call_type": "embedding"},
            )
            span.around = span.step
            span.answer = []

    def embedding_answered(self, recorder: Recorder, event: Any) -> None:
        span = self.spans.open(event.span_id)
        if span is None or span.step is None or span.role != "embedding":
            return
        span.answer.extend(payloads.take(list(event.chunks)))  # the vectors are large, and stay where they are
        vectors = event.embeddings
        size = len(vectors[0]) if vectors and isinstance(vectors[0], list) else None
        recorder.update(
            span.step, input=list(span.answer), attributes={"dimensions": size} if size is not None else None
        )

    def cancelled(self, event: Any) -> None:
        span = self.spans.open(event.span_id)
        if span is not None:
            span.cancelled = True

    # -- upkeep ---------------------------------------------------------------------------------------------------

    def end_abandoned(self, recorder: Recorder) -> None:
        """End what waited for streams that were thrown away unread, or half read."""
        collected = self.streams.collected
        while collected:
            try:
                span = collected.popleft()
            except IndexError:  # another thread was quicker
                return
            stopped = GeneratorExit()
            if span.call is not None:
                last = span.call.last
                end_call(recorder, span, None, stopped)
                self.spans.end(span.id)
                self._release(recorder, span, stopped, last)
            elif span.held is not None and span.open_calls <= 0:
                self._release(recorder, span, stopped)

    def clear(self) -> None:
        """Forget everything: what ends from here on was never seen."""
        self.spans.clear()
        self.streams.clear()
        self.runs.clear()

    # -- inside ---------------------------------------------------------------------------------------------------

    def parent_of(self, span: Span) -> OpenStep | None:
        """The step to start this span's own under: LlamaIndex's parent, unless the code runs in an open step inside it."""
        around = span.around
        return current_step() if around is None else innermost(around.nearest_open() or around, current_step())

    def _inner(self, span: Span | None) -> Span | None:
        """The span, or the one inside it whose generator is being read here."""
        reading = self.streams.running()
        if reading is None or any(item is reading for item in chain(span)):
            return span
        return reading

    def _tell_tool(self, span: Span, error: BaseException) -> None:
        """Keep a tool's exception for the step that calls it, which comes back as if nothing had been."""
        for item in chain(span.parent):
            if item.step is not None:
                if item.role in ("call", "tool"):
                    item.error = error
                    item.waiting = is_waiting(error)
                return

    def _end_step(self, recorder: Recorder, span: Span, result: Any) -> None:
        step = span.step
        assert step is not None
        if span.role == "embedding":
            texts = len(span.answer)
            attributes = {"batches": span.batches} if span.batches > 1 else None
            recorder.end(step, output={"vectors": texts}, attributes=attributes)
            span.answer = None
            return
        if span.role == "tool" and getattr(result, "is_error", False):
            workflow_steps.end_failed_tool(recorder, step, result, span.error)
            return
        output = payloads.nodes(result) if span.role in ("retriever", "reranker") else result
        recorder.end(
            step,
            status=Status.CANCELLED if span.cancelled else Status.OK,
            output=payloads.take(output, recorder.serialize) if span.role != "pipeline" else None,
        )

    def _release(self, recorder: Recorder, span: Span, error: BaseException | None = None, answer: Any = None) -> None:
        """End the steps around whose streams have been read: they waited for the model call that ended."""
        text = payloads.text_of(answer)
        if isinstance(text, dict):
            text = text.get("content")
        for item in chain(span):
            if item.held is not None and item.open_calls <= 0:
                item.held = None
                self.spans.end(item.id)
                if item.step is not None:
                    failed = status_of(error) is Status.ERROR
                    recorder.end(
                        item.step,
                        status=status_of(error),
                        output=payloads.take(text),
                        error=error if failed else None,
                    )

    def _done(self, recorder: Recorder, id: str, future: asyncio.Future[Any]) -> None:
        """A run whose span came back with its handler is over. `exception()` would silence asyncio's own warning."""
        error = getattr(future, "_exception", None)
        if future.cancelled():
            self.dropped(recorder, id, asyncio.CancelledError())
        elif error is not None:
            self.dropped(recorder, id, error)
        else:
            self.exited(recorder, id, future.result())
