"""The plugin that a runner tells what it does."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from google.adk.plugins.base_plugin import BasePlugin
from treerings import Kind, Recorder, Status, StopWorkflow, runtime
from treerings.context import OpenStep, current_step, enter, leave
from treerings.recorder import add_caretaker

from .payloads import content, message, model_facts, take_response
from .runs import RUNS, AgentRun, ModelCall, Run, add, end_abandoned

__all__ = ["SOURCE", "TreeringsPlugin"]

logger = logging.getLogger("treerings")

SOURCE = "google-adk"
MAX_ASKED = 1_000

add_caretaker(end_abandoned)

Callback = Callable[..., Coroutine[Any, Any, None]]


def told(callback: Callable[..., None]) -> Callback:
    """A callback that answers nothing, and that no failure of ours gets out of. A guard's `StopWorkflow` does."""

    @functools.wraps(callback)
    async def safely(self: TreeringsPlugin, **kwargs: Any) -> None:
        if not self.active:
            return
        try:
            recorder = runtime.current_recorder()
            if recorder.enabled:
                callback(self, recorder, **kwargs)
        except StopWorkflow:
            raise
        except Exception as error:
            report(callback.__name__, error)

    return safely


class TreeringsPlugin(BasePlugin):
    """Records the runs of the runners that it is given to: `App(..., plugins=[TreeringsPlugin()])`.

    Put it first: of several plugins those after one that answers a callback are not asked.
    """

    def __init__(self) -> None:
        super().__init__("treerings")
        self.active = True
        self._tools: dict[int, tuple[OpenStep, Any, AgentRun | None]] = {}

    # -- runs -----------------------------------------------------------------------------------------------------

    @told
    def before_run_callback(self, recorder: Recorder, *, invocation_context: Any) -> None:
        parent = current_step()
        step = None
        if parent is None or parent.source != SOURCE:
            session = invocation_context.session
            step = recorder.start(
                Kind.WORKFLOW,
                str(invocation_context.app_name or "app")[:80],
                source=SOURCE,
                parent=parent,
                input=recorder.snapshot(content(invocation_context.user_content)),
                labels={"session_id": str(session.id), "user_id": str(session.user_id)},
            )
        add(invocation_context.invocation_id, Run(step, parent))

    @told
    def on_event_callback(self, recorder: Recorder, *, invocation_context: Any, event: Any) -> None:
        run = RUNS.get(invocation_context.invocation_id)
        if run is None or getattr(event, "partial", None):
            return
        if run.step is not None and event.content is not None and event.is_final_response():
            run.output = recorder.snapshot(content(event.content))

    @told
    def after_run_callback(self, recorder: Recorder, *, invocation_context: Any) -> None:
        run = RUNS.pop(invocation_context.invocation_id, None)
        if run is not None:
            run.end()

    @told
    def on_run_error_callback(self, recorder: Recorder, *, invocation_context: Any, error: BaseException) -> None:
        run = RUNS.pop(invocation_context.invocation_id, None)
        if run is not None:
            run.end(*_meaning(error))

    # -- agents ---------------------------------------------------------------------------------------------------

    @told
    def before_agent_callback(self, recorder: Recorder, *, agent: Any, callback_context: Any) -> None:
        context = callback_context._invocation_context
        run = RUNS.get(context.invocation_id)
        if run is None:
            return
        for other in run.agents:
            if other.handed_to == agent.name and not other.step.ended:
                other.end()  # it is not told of its end
        branch = context.branch or ""
        step = recorder.start(
            Kind.AGENT,
            str(agent.name)[:80],
            source=SOURCE,
            parent=run.parent_of(agent, branch),
            input=recorder.snapshot(content(context.user_content)),
        )
        run.agents = [other for other in run.agents if not other.step.ended]
        run.agents.append(AgentRun(agent.name, branch, step, context, None if run.here() else enter(step)))

    @told
    def after_agent_callback(self, recorder: Recorder, *, agent: Any, callback_context: Any) -> None:
        context = callback_context._invocation_context
        run, found = _agent(context, agent.name)
        if run is None or found is None:
            return
        cancelled = _cancelling()
        found.end(Status.CANCELLED if cancelled else Status.OK)
        if cancelled and run.step is not None and found.step.parent is run.step:
            run.end(Status.CANCELLED)

    @told
    def on_agent_error_callback(
        self, recorder: Recorder, *, agent: Any, callback_context: Any, error: BaseException
    ) -> None:
        _, found = _agent(callback_context._invocation_context, agent.name)
        if found is not None:
            found.end(*_meaning(error))

    # -- models ---------------------------------------------------------------------------------------------------

    @told
    def before_model_callback(self, recorder: Recorder, *, callback_context: Any, llm_request: Any) -> None:
        context = callback_context._invocation_context
        _, agent = _agent(context, context.agent.name)
        if agent is None:
            return
        agent.finish_call()
        name, model, provider, request = model_facts(context.agent, llm_request)
        step = recorder.start(
            Kind.LLM,
            name,
            source=SOURCE,
            parent=agent.step,
            input=recorder.snapshot(message(llm_request)),
            model=model,
            provider=provider,
            attributes={"request": recorder.snapshot(request)} if request else None,
        )
        agent.call = ModelCall(step, enter(step))

    @told
    def after_model_callback(self, recorder: Recorder, *, callback_context: Any, llm_response: Any) -> None:
        context = callback_context._invocation_context
        _, agent = _agent(context, context.agent.name)
        call = None if agent is None else agent.call
        if agent is None or call is None:
            return
        call.leave()
        take_response(recorder, call, llm_response)
        if llm_response.partial:
            return
        agent.asked = agent.asked[-MAX_ASKED:]
        for asked in call.tool_calls:
            agent.asked.append((asked["id"], asked["name"], asked["arguments"], call.step.id))
        if not call.streamed:
            agent.finish_call()

    @told
    def on_model_error_callback(
        self, recorder: Recorder, *, callback_context: Any, llm_request: Any, error: BaseException
    ) -> None:
        context = callback_context._invocation_context
        _, agent = _agent(context, context.agent.name)
        if agent is not None and agent.call is not None:
            call, agent.call = agent.call, None
            call.end(*_meaning(error))

    # -- tools ----------------------------------------------------------------------------------------------------

    @told
    def before_tool_callback(
        self, recorder: Recorder, *, tool: Any, tool_args: dict[str, Any], tool_context: Any
    ) -> None:
        context = tool_context._invocation_context
        run, agent = _agent(context, context.agent.name)
        if run is None:
            return
        if agent is not None:
            agent.finish_call()
        arguments = recorder.snapshot(tool_args)
        attributes: dict[str, Any] = {}
        if tool_context.function_call_id:
            attributes["tool_call_id"] = tool_context.function_call_id
        asked = _asked(agent, tool_context.function_call_id, tool.name, arguments)
        if asked:
            attributes["called_by"] = asked
        step = recorder.start(
            Kind.TOOL,
            str(tool.name)[:80],
            source=SOURCE,
            parent=agent.step if agent is not None else (run.step or current_step()),
            input=arguments,
            attributes=attributes or None,
        )
        if len(self._tools) > 10_000:
            self._tools.pop(next(iter(self._tools)), None)
        self._tools[id(tool_context)] = (step, enter(step), agent)

    @told
    def after_tool_callback(
        self, recorder: Recorder, *, tool: Any, tool_args: dict[str, Any], tool_context: Any, result: Any
    ) -> None:
        known = self._tools.pop(id(tool_context), None)
        if known is None:
            return
        step, token, agent = known
        leave(token)
        target = getattr(tool_context.actions, "transfer_to_agent", None)
        if target:
            recorder.update(step, kind=Kind.HANDOFF, attributes={"handoff_to": str(target)})
            if agent is not None:
                agent.handed_to, agent.handed_ns = str(target), recorder.clock.time_ns()
        recorder.end(step, output=recorder.snapshot(result))

    @told
    def on_tool_error_callback(
        self, recorder: Recorder, *, tool: Any, tool_args: dict[str, Any], tool_context: Any, error: BaseException
    ) -> None:
        known = self._tools.pop(id(tool_context), None)
        if known is None:
            return
        step, token, _ = known
        leave(token)
        status, shown = _meaning(error)
        recorder.end(step, status=status, error=shown)


def _agent(context: Any, name: str) -> tuple[Run | None, AgentRun | None]:
    run = RUNS.get(context.invocation_id)
    return run, None if run is None else run.agent(name, context.branch or "")


def _asked(agent: AgentRun | None, call_id: str | None, name: str, arguments: Any) -> str | None:
    """The model call that asked for a tool call, by its id, or by what it asks where the model gave none."""
    if agent is None:
        return None
    for asked in agent.asked:
        if (asked[0] and asked[0] == call_id) or (not asked[0] and asked[1:3] == (name, arguments)):
            agent.asked.remove(asked)
            return asked[3]
    return None


def _meaning(error: BaseException) -> tuple[Status, BaseException | None]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StopWorkflow | asyncio.CancelledError):  # ADK wraps what a plugin raises
            return Status.CANCELLED, None
        cause = cause.__cause__
    return (Status.ERROR, error) if isinstance(error, Exception) else (Status.CANCELLED, None)


def _cancelling() -> bool:
    """Whether the running task is being cancelled: ADK tells an agent's end then as always."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


_reported: set[str] = set()


def report(where: str, error: Exception) -> None:
    """Log a failure of ours once for each place: the run goes on without this event."""
    if where not in _reported:
        _reported.add(where)
        logger.error("%s recorded nothing (said once)", where, exc_info=error)
