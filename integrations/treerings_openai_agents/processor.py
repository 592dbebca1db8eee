"""The processor that the SDK's tracing tells of its traces and spans, inline, in the context of the running code."""

from __future__ import annotations

import sys
from typing import Any

from agents.tracing import TracingProcessor
from treerings import Kind, Recorder, Status, StopWorkflow, runtime
from treerings.context import OpenStep, add_ambient, current_step

from . import report, translate
from .spans import SPANS, Known

__all__ = ["SpanError", "TreeringsProcessor"]

SOURCE = "openai-agents"
MODEL_CALLS = ("generation", "response")


class SpanError(Exception):
    """What the SDK says of an error that it handled itself: a text."""


class TreeringsProcessor(TracingProcessor):
    """Records every trace of this process: `add_trace_processor(TreeringsProcessor())`. Two of them record a trace once."""

    def __init__(self) -> None:
        self.active = True

    def on_trace_start(self, trace: Any) -> None:
        try:
            recorder = runtime.current_recorder()
            if self.active and recorder.enabled and trace.trace_id not in SPANS:
                _start_trace(recorder, trace)
        except StopWorkflow:
            raise
        except Exception as error:
            report.once("on_trace_start", error)

    def on_trace_end(self, trace: Any) -> None:
        try:
            known = SPANS.end(trace.trace_id)
            if known is not None:
                _end(known, None, None)
        except Exception as error:
            report.once("on_trace_end", error)

    def on_span_start(self, span: Any) -> None:
        try:
            recorder = runtime.current_recorder()
            if self.active and recorder.enabled and span.span_id not in SPANS:
                _start_span(recorder, span)
        except StopWorkflow:
            raise
        except Exception as error:
            report.once("on_span_start", error)

    def on_span_end(self, span: Any) -> None:
        try:
            known = SPANS.end(span.span_id)
            if known is not None:
                _end(known, span.span_data, span.error)
        except Exception as error:
            report.once("on_span_end", error)

    def shutdown(self) -> None:
        return

    def force_flush(self) -> None:
        return


def _start_trace(recorder: Recorder, trace: Any) -> None:
    parent = current_step()
    metadata = getattr(trace, "metadata", None)
    step = recorder.start(
        Kind.WORKFLOW if parent is None else Kind.CHAIN,
        str(trace.name),
        source=SOURCE,
        parent=parent,
        labels=translate.labels(trace),
        attributes=recorder.snapshot({"trace_id": trace.trace_id, **({"metadata": metadata} if metadata else {})}),
    )
    SPANS.add(trace.trace_id, Known(step, recorder, None, _failure()))


def _start_span(recorder: Recorder, span: Any) -> None:
    data = span.span_data
    parent, above = SPANS.parent(span)
    said = translate.what(data)
    attributes = dict(said.attributes or {})
    if data.type in ("function", "handoff") and above is not None and above.llm is not None:
        attributes["called_by"] = above.llm.id
    model = getattr(data, "model", None)
    step = recorder.start(
        said.kind,
        said.name,
        source=SOURCE,
        parent=parent,
        model=model if isinstance(model, str) and model else None,
        provider=translate.provider(data) if said.kind is Kind.LLM else None,
        attributes=attributes or None,
    )
    SPANS.add(span.span_id, Known(step, recorder, above, _failure()))


def _end(known: Known, data: Any, error: Any) -> None:
    step, recorder = known.step, known.recorder
    status, exception = _outcome(known, error)
    if data is None or data.type in ("agent", "task", "turn"):  # they are told neither question nor answer
        recorder.end(
            step,
            status=status,
            error=exception,
            input=known.input,
            output=known.output,
            attributes=None if data is None else recorder.snapshot(translate.ended(data)),
        )
        _pass_up(known, known.input, known.output)
        return
    input = recorder.snapshot(_input(data))
    is_call = data.type in MODEL_CALLS
    output = recorder.snapshot(translate.answer(data) if is_call else _output(data))
    attributes = translate.ended(data)
    if is_call:
        _remember(known, data, step)
        _pass_up(known, input, output)
    elif data.type == "function" and (call_id := _call_id(known, data)):
        attributes["tool_call_id"] = call_id
    response = getattr(data, "response", None)
    model = getattr(response, "model", None)
    recorder.end(
        step,
        status=status,
        error=exception,
        input=input,
        output=output,
        usage=translate.usage(data) if is_call else None,
        model=model if isinstance(model, str) else None,
        name=translate.what(data).name if data.type == "handoff" else None,
        attributes=recorder.snapshot(attributes),
    )


def _failure() -> int:
    return id(sys.exc_info()[1])


def _outcome(known: Known, error: Any) -> tuple[Status, BaseException | None]:
    """How a span ended: by the exception that is on its way through it, else by what the SDK says of an error.

    An exception that was being handled already when it began, in whose handler the run takes place, is none of its own.
    """
    passing = sys.exc_info()[1]
    if passing is not None and id(passing) != known.failure:
        if not isinstance(passing, Exception) or isinstance(passing, StopWorkflow):
            return Status.CANCELLED, None  # a cancelled task, a stream that is closed
        return Status.ERROR, passing
    if error:
        detail = error.get("data") or {}
        text = detail.get("error") if isinstance(detail, dict) else None
        return Status.ERROR, SpanError(f"{error.get('message')}: {text}" if text else str(error.get("message")))
    return Status.OK, None


def _input(data: Any) -> Any:
    return data.data if data.type == "custom" else getattr(data, "input", None)


def _output(data: Any) -> Any:
    return data.result if data.type == "mcp_tools" else getattr(data, "output", None)


def _remember(known: Known, data: Any, step: OpenStep) -> None:
    """Keep what this model call asked for, for the tools of its turn."""
    if known.parent is not None:
        known.parent.llm, known.parent.calls = step, translate.tool_calls(data)


def _pass_up(known: Known, input: Any, output: Any) -> None:
    """Tell what encloses: its question is that of the first model call below, its answer that of the last.

    A tool has its own; what its sub-agents are asked is not its caller's.
    """
    above = known.parent
    if above is not None and above.step.kind is not Kind.TOOL:
        above.input = input if above.input is None else above.input
        above.output = output if output is not None else above.output


def _call_id(known: Known, data: Any) -> str | None:
    """The id of the tool call, which the span does not have: by name and arguments, each once."""
    calls = [] if known.parent is None else known.parent.calls
    for call in calls:
        if call[1] == data.name and (data.input is None or call[2] == data.input):
            calls.remove(call)
            return call[0]
    return None


add_ambient(SPANS.running)
