"""Runs of workflows and their steps: nodes, the turns of agents, tool calls, handoffs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from treerings import Kind, Recorder, Status
from workflows.events import Event

from . import payloads
from .outcome import status_of
from .roles import AGENT_STEPS, is_agent, is_team
from .runs import Run, work_item
from .spans import Span

if TYPE_CHECKING:
    from treerings.context import OpenStep

    from .translate import Translator

__all__ = ["end", "end_failed_tool", "end_run", "start", "start_run"]

SOURCE = "llamaindex"
MAX_WAITING = 1_000
MAX_ASKED = 5_000


class ToolError(Exception):
    """What a tool told the model about its own failure."""


def start_run(
    translator: Translator,
    recorder: Recorder,
    span: Span,
    arguments: Mapping[str, Any],
    instance: Any,
    tags: Mapping[str, Any],
) -> None:
    """A workflow, an agent or a team of agents begins."""
    agent = is_agent(instance)
    run_id = tags.get("llamaindex.run_id")
    asked = arguments.get("start_event")
    said = payloads.event(asked) if isinstance(asked, Event) else None
    if isinstance(said, dict):
        said.pop("memory", None)
        if set(said) == {"user_msg"}:
            said = said["user_msg"]
    span.step = span.around = recorder.start(
        Kind.AGENT if agent else Kind.WORKFLOW,
        _short(instance.name) if agent else span.instance_name,
        source=SOURCE,
        parent=translator.parent_of(span),
        input=payloads.take(said, recorder.serialize),
        attributes={"run_id": run_id} if isinstance(run_id, str) else None,
    )
    span.run = Run(run_id if isinstance(run_id, str) else None, span, is_agent=agent, is_team=is_team(instance))
    translator.runs.add(span.run)


def start(translator: Translator, recorder: Recorder, span: Span, arguments: Mapping[str, Any]) -> None:
    """A step of a workflow begins: a node, unless it is one that LlamaIndex's agents are made of."""
    run = span.run
    assert run is not None
    event = next((value for value in arguments.values() if isinstance(value, Event)), None)
    if not (run.is_agent or run.is_team) or span.method not in AGENT_STEPS:
        _start_node(translator, recorder, span, run, event)
        return
    span.role = "turn" if span.method == "run_agent_step" else "agent step"
    if run.is_team and span.method in ("setup_agent", "run_agent_step"):
        _turn(recorder, run, getattr(event, "current_agent_name", None), getattr(event, "input", None))
    span.around = run.inside
    if span.method == "call_tool" and event is not None:
        _start_tool(translator, recorder, span, run, event)


def end(translator: Translator, recorder: Recorder, span: Span, result: Any) -> None:
    """A step came back."""
    run = span.run
    assert run is not None
    if span.role == "turn":
        run.output = result
        _remember_calls(run, span, result)
    if span.step is None:
        return
    if span.cancelled:
        recorder.end(span.step, status=Status.CANCELLED)
    elif result is None and span.key is not None and (span.role == "node" or span.waiting):
        # it may wait for an event, and is run again from the start then: one step for both
        run.waiting[span.key] = (span, recorder.clock.time_ns())
        if len(run.waiting) > MAX_WAITING:
            _end_waiting(recorder, *run.waiting.popitem(last=False)[1], Status.OK)
    elif span.role == "call" and (output := getattr(result, "tool_output", None)) is not None:
        if output.is_error:
            end_failed_tool(recorder, span.step, output, span.error)
        else:
            recorder.end(span.step, output=payloads.take(output.content))
    else:
        recorder.end(span.step, output=payloads.take(result, recorder.serialize))


def end_run(translator: Translator, recorder: Recorder, span: Span, result: Any, error: BaseException | None) -> None:
    """A run is over, and with it what waits in it."""
    run = span.run
    if run is None or span.step is None:
        return
    translator.runs.end(run)
    status = Status.CANCELLED if span.cancelled else status_of(error)
    while run.waiting:
        _, (waiting, time_ns) = run.waiting.popitem()
        _end_waiting(recorder, waiting, time_ns, Status.CANCELLED if waiting.waiting else Status.OK)
    failed = error if status is Status.ERROR else None
    _end_agent(recorder, run, status, failed)
    output = payloads.take(payloads.event(result) if isinstance(result, Event) else result, recorder.serialize)
    recorder.end(span.step, status=status, output=output, error=failed)


def end_failed_tool(recorder: Recorder, step: OpenStep, output: Any, error: BaseException | None) -> None:
    """A tool failed, and its framework told the model so."""
    said = output.content
    recorder.end(
        step,
        status=Status.ERROR,
        output=payloads.take(said),
        error=getattr(output, "exception", None) or error or ToolError(said),
    )


def _start_node(translator: Translator, recorder: Recorder, span: Span, run: Run, event: Event | None) -> None:
    span.role = "node"
    item, failed = work_item()
    if item is not None:
        span.key = (span.method, item)
        if _run_again(translator, run, span):
            return
    span.step = span.around = recorder.start(
        Kind.NODE,
        span.method,
        source=SOURCE,
        parent=translator.parent_of(span),
        input=payloads.take(event, recorder.serialize),
        attributes={"attempt": failed + 1} if failed else None,
    )


def _start_tool(translator: Translator, recorder: Recorder, span: Span, run: Run, event: Any) -> None:
    span.role = "call"
    name, given, call_id = str(event.tool_name), event.tool_kwargs, str(event.tool_id)
    span.key = (name, call_id)
    if _run_again(translator, run, span):
        return
    hands_over = run.is_team and name == "handoff"
    attributes = {"tool_call_id": call_id}
    if call_id in run.asked:
        attributes["called_by"] = run.asked[call_id]
    if hands_over and isinstance(given, dict):
        attributes["handoff_to"] = str(given.get("to_agent"))
    span.step = span.around = recorder.start(
        Kind.HANDOFF if hands_over else Kind.TOOL,
        _short(name),
        source=SOURCE,
        parent=translator.parent_of(span),
        input=payloads.take(given, recorder.serialize),
        attributes=attributes,
    )


def _run_again(translator: Translator, run: Run, span: Span) -> bool:
    """Go on with the step of a span that came back to wait; whether there is one."""
    assert span.key is not None
    waited, _ = run.waiting.pop(span.key, (None, 0))
    if waited is None:
        return False
    span.step = span.around = waited.step
    return True


def _end_waiting(recorder: Recorder, span: Span, time_ns: int, status: Status) -> None:
    if span.step is not None:
        recorder.end(span.step, status=status, time_ns=None if status is Status.CANCELLED else time_ns)


def _turn(recorder: Recorder, run: Run, name: str | None, given: Any) -> None:
    """An agent of a team has its turn; the turns of one agent that follow each other are one step."""
    if not name or (run.agent is not None and run.agent_name == name):
        return
    _end_agent(recorder, run, Status.OK, None)
    run.agent_name = name
    run.agent = recorder.start(
        Kind.AGENT,
        _short(name),
        source=SOURCE,
        parent=run.span.step,
        input=payloads.take(given, recorder.serialize),
    )


def _end_agent(recorder: Recorder, run: Run, status: Status, error: BaseException | None) -> None:
    if run.agent is not None:
        recorder.end(run.agent, status=status, output=payloads.take(run.output, recorder.serialize), error=error)
    run.agent, run.agent_name, run.output = None, None, None


def _remember_calls(run: Run, span: Span, result: Any) -> None:
    """Keep which model call asked for these tools; `span.answer` is the turn's last one."""
    if span.answer is None:
        return
    if len(run.asked) > MAX_ASKED:
        run.asked.clear()
    for call in getattr(result, "tool_calls", None) or ():
        if (call_id := getattr(call, "tool_id", None)) is not None:
            run.asked[str(call_id)] = span.answer


def _short(name: Any) -> str:
    text = str(name)
    return text if len(text) <= 80 else f"{text[:79]}…"
