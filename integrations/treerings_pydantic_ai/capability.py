"""The capability: it wraps runs, model requests and tools, passes everything on, and records them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, SkipModelRequest, SkipToolExecution
from pydantic_ai.tools import DeferredToolRequests
from treerings import Kind, Status, StopWorkflow, runtime
from treerings.context import OpenStep, current_step, enter, leave

from . import report, translate
from .runs import RUNS, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

try:  # set by the framework while a stream is read
    from pydantic_ai._instrumentation import time_to_first_chunk_ctx
except ImportError:
    time_to_first_chunk_ctx = None  # type: ignore[assignment]  # another version keeps it elsewhere

__all__ = ["Treerings"]

SOURCE = "pydantic-ai"


class Treerings(AbstractCapability[Any]):
    """Records the runs of an agent, `Agent(model, capabilities=[Treerings()])`, or one run, `agent.run(..., capabilities=)`."""

    async def wrap_run(self, ctx: Any, *, handler: Any) -> Any:
        run = None if getattr(ctx, "realtime", None) else _started(self, ctx)
        if run is None:
            return await handler()
        with _recording(run, run.step) as told:
            try:
                result = await handler()
                deferred = isinstance(result.output, DeferredToolRequests)
                told.update(status=Status.INTERRUPTED if deferred else Status.OK, output=result.output)
            finally:
                RUNS.end(ctx.run_id)
        return result

    async def wrap_model_request(self, ctx: Any, *, request_context: Any, handler: Any) -> Any:
        run = _mine(self, ctx)
        step = None if run is None else _model_started(run, request_context)
        if run is None or step is None:
            return await handler(request_context)
        try:
            run.streaming = step if getattr(request_context, "streaming", False) else None
            with _recording(run, step) as told:
                response = await handler(request_context)
                told["response"] = response
        finally:
            run.streaming = None
        return response

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        run = _mine(self, ctx)
        step = None if run is None else _tool_started(run, ctx, call, args)
        if run is None or step is None:
            return await handler(args)
        with _recording(run, step) as told:
            result = await handler(args)
            told["output"] = result
        return result

    async def on_tool_validate_error(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, error: Any) -> Any:
        """A tool that is called with arguments that it does not take: it does not run, but the model hears of it."""
        run = _mine(self, ctx)
        step = None if run is None else _tool_started(run, ctx, call, getattr(call, "args", args))
        if run is not None and step is not None:
            run.recorder.end(step, status=Status.ERROR, error=error)
        raise error

    async def on_output_validate_error(self, ctx: Any, *, output_context: Any, output: Any, error: Any) -> Any:
        _refused(_mine(self, ctx), output, error)
        raise error

    async def wrap_output_process(self, ctx: Any, *, output_context: Any, output: Any, handler: Any) -> Any:
        """The functions that make the output are tools; a validator shows where it refuses an answer."""
        run = None if ctx.partial_output else _mine(self, ctx)
        if run is None:
            return await handler(output)
        call = output_context.tool_call
        if not output_context.has_function:
            try:
                return await handler(output)
            except Exception as error:
                _refused(run, output, error)
                raise
        name = output_context.function_name or (call.tool_name if call else "output")
        step = _tool_started(run, ctx, call, output, name=name)
        if step is None:
            return await handler(output)
        with _recording(run, step) as told:
            result = await handler(output)
            told["output"] = result
        return result


def _mine(owner: Treerings, ctx: Any) -> Run | None:
    run = RUNS.get(ctx.run_id)
    return run if run is not None and run.owner is owner else None


def _started(owner: Treerings, ctx: Any) -> Run | None:
    """An agent's run; None while off, and where another capability of ours has it."""
    try:
        recorder = runtime.current_recorder()
        if not recorder.enabled or RUNS.get(ctx.run_id) is not None:
            return None
        attributes = {"run_id": ctx.run_id, "conversation_id": ctx.conversation_id, "metadata": ctx.metadata}
        step = recorder.start(
            Kind.AGENT,
            getattr(ctx.agent, "name", None) or "agent",
            source=SOURCE,
            parent=current_step(),
            input=recorder.snapshot(ctx.prompt),
            labels=_labels(ctx.metadata),
            attributes=recorder.snapshot({key: value for key, value in attributes.items() if value}),
        )
        run = Run(step, recorder, owner)
        RUNS.add(ctx.run_id, run)
        return run
    except StopWorkflow:
        raise
    except Exception as error:
        report.once("wrap_run", error)
        return None


def _labels(metadata: Any) -> dict[str, str] | None:
    if not isinstance(metadata, dict):
        return None
    names = ("session_id", "user_id", "tenant_id")
    return {name: str(metadata[name]) for name in names if metadata.get(name) is not None} or None


def _model_started(run: Run, context: Any) -> OpenStep | None:
    try:
        recorder, model = run.recorder, context.model
        settings = translate.request(getattr(context, "model_settings", None))
        return recorder.start(
            Kind.LLM,
            type(model).__name__,
            source=SOURCE,
            parent=RUNS.parent(run),
            input=recorder.snapshot(translate.messages(context.messages)),
            model=translate.model_of(model),
            provider=translate.provider_of(model),
            attributes=recorder.snapshot({"request": settings}) if settings else None,
        )
    except StopWorkflow:
        raise
    except Exception as error:
        report.once("wrap_model_request", error)
        return None


def _tool_started(run: Run, ctx: Any, call: Any, args: Any, *, name: str | None = None) -> OpenStep | None:
    try:
        call_id = getattr(call, "tool_call_id", None)
        retry = ctx.retry if call is not None and isinstance(ctx.retry, int) else 0
        attributes = {
            "tool_call_id": call_id,
            "called_by": run.calls.get(call_id or ""),
            "attempt": retry + 1 if retry else None,
        }
        return run.recorder.start(
            Kind.TOOL,
            name or call.tool_name,
            source=SOURCE,
            parent=RUNS.parent(run),
            input=run.recorder.snapshot(translate.arguments(call, args) if name is None else args),
            attributes={key: value for key, value in attributes.items() if value is not None} or None,
        )
    except StopWorkflow:
        raise
    except Exception as error:
        report.once("wrap_tool_execute", error)
        return None


def _refused(run: Run | None, output: Any, error: BaseException) -> None:
    """An answer that is not what was asked for: the model is asked again, or the run fails."""
    if run is None:
        return
    try:
        step = run.recorder.start(
            Kind.GUARDRAIL,
            "output validation",
            source=SOURCE,
            parent=RUNS.parent(run),
            input=run.recorder.snapshot(output),
        )
        run.recorder.end(step, status=Status.ERROR, error=error)
    except Exception as problem:
        report.once("An output that was refused", problem)


@contextmanager
def _recording(run: Run, step: OpenStep) -> Iterator[dict[str, Any]]:
    """The step is the current one inside, and ends as the block ends, with what is told of it there."""
    told: dict[str, Any] = {}
    token = enter(step)
    try:
        yield told
    except BaseException as error:
        leave(token)
        _end(run, step, told, error)
        raise
    leave(token)
    _end(run, step, told, None)


def _end(run: Run, step: OpenStep, told: dict[str, Any], error: BaseException | None) -> None:
    recorder = run.recorder
    try:
        if error is not None:
            status = _status(error)
            recorder.end(step, status=status, error=error if status is Status.ERROR else None)
        elif "response" in told:
            _end_model(run, step, told["response"])
        else:
            recorder.end(step, status=told.get("status", Status.OK), output=recorder.snapshot(told.get("output")))
    except Exception as problem:
        report.once("The end of a step", problem)


def _status(error: BaseException) -> Status:
    """Deferred tools and skipped work travel as exceptions."""
    if isinstance(error, CallDeferred | ApprovalRequired):
        return Status.INTERRUPTED
    if isinstance(error, SkipModelRequest | SkipToolExecution):
        return Status.OK
    return Status.ERROR if isinstance(error, Exception) and not isinstance(error, StopWorkflow) else Status.CANCELLED


def _end_model(run: Run, step: OpenStep, response: Any) -> None:
    recorder = run.recorder
    for part in getattr(response, "parts", ()):
        if getattr(part, "part_kind", "") == "tool-call":
            run.calls[part.tool_call_id] = step.id
    seconds = time_to_first_chunk_ctx.get() if time_to_first_chunk_ctx is not None else None
    if isinstance(seconds, float):
        recorder.update(step, first_token_ns=step.start_clock_ns + int(seconds * 1e9))
    facts = {
        "response_id": getattr(response, "provider_response_id", None),
        "finish_reason": getattr(response, "finish_reason", None),
    }
    cut = getattr(response, "state", "complete") not in ("complete", None)
    recorder.end(
        step,
        status=Status.CANCELLED if cut else Status.OK,
        output=recorder.snapshot(translate.answer(response)),
        usage=translate.usage(response),
        model=getattr(response, "model_name", None),
        attributes={key: value for key, value in facts.items() if value},
    )
