"""Runs of agents, teams and workflows, and the steps of workflows."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from agno.exceptions import AgnoError
from treerings import Kind, Recorder, Status, StopWorkflow, runtime
from treerings.context import OpenStep

from .calls import SOURCE, Call

__all__ = ["AgentCall", "TaskCall", "WorkflowCall", "run_around", "stop_runs_around"]

MAX_OPEN = 10_000
MAX_PAUSED = 1_000
MAX_CHARS = 262_144

_open: dict[str, RunCall] = {}
"""The runs that are open, by the id of their step."""
_paused: OrderedDict[str, str] = OrderedDict()
"""The workflow of each paused run, by agno's id of the run; the latest ones."""


class RunCall(Call):
    """A run; agno turns what goes wrong inside into a status of the result or an event of the stream."""

    kind: Kind
    id_field: tuple[str, ...]

    def __init__(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(target, args, kwargs)
        self.stop: StopWorkflow | None = None
        self.failed_attempts = 0
        """How many times in a row its model has failed."""
        self.said: list[str] = []
        self.chars = 0
        self.status = Status.OK
        self.content: Any = None

    def streams(self) -> bool:
        asked = self.kwargs.get("stream")
        return bool(getattr(self.target, "stream", None) if asked is None else asked)

    def open(self, recorder: Recorder, parent: OpenStep | None) -> OpenStep:
        given = self.kwargs.get("input", self.args[0] if self.args else None)
        before = self.kwargs.get("run_response", given if hasattr(given, "run_id") else None)
        run_id = getattr(before, "run_id", None) or self.kwargs.get("run_id")
        resumes = _paused.pop(run_id, None) if isinstance(run_id, str) else None
        inner = parent is not None and parent.source == SOURCE  # a member's are those of its team
        dimensions = {
            name: str(value)
            for name in (() if inner else ("session_id", "user_id"))
            if (value := self.kwargs.get(name) or getattr(self.target, name, None))
        }
        name = getattr(self.target, "name", None) or getattr(self.target, "id", None) or type(self.target).__name__
        step = recorder.start(
            self.kind,
            str(name)[:80],
            source=SOURCE,
            parent=parent,
            input=None if hasattr(given, "run_id") else recorder.snapshot(_plain(given)),
            labels=dimensions,
            attributes={"resumes": resumes} if resumes else None,
        )
        _open[step.id] = self
        if len(_open) > MAX_OPEN:
            _open.pop(next(iter(_open)), None)
        return step

    def item(self, recorder: Recorder, step: OpenStep, item: Any) -> None:
        event = getattr(item, "event", None)
        if not isinstance(event, str):
            self._result(item)
            self.close(recorder, step, None)  # the last word: agno's workflows never exhaust the stream
            return
        own = next((getattr(item, name, None) for name in self.id_field if hasattr(item, name)), None)
        if own != getattr(self.target, "id", None) or not event.startswith(self.events):
            return  # of a member or of an inner agent
        what = event.removeprefix(self.events)
        if what == "Content" and isinstance(item.content, str):
            if self.chars < MAX_CHARS:
                self.said.append(item.content)
                self.chars += len(item.content)
        elif what in _STATUS:
            self.status, self.content = _STATUS[what], recorder.snapshot(_plain(getattr(item, "content", None)))
            if self.status is Status.INTERRUPTED:
                self._remember(item)
            self.close(recorder, step, None)

    def close(self, recorder: Recorder, step: OpenStep, result: Any) -> None:
        if result is not None:
            self._result(result)
        content = self.content if self.content is not None else "".join(self.said) or None
        failed = self.status is Status.ERROR and self.stop is None
        recorder.end(
            step,
            status=self.status if self.stop is None else Status.CANCELLED,
            output=content,
            error=self.stop or (AgnoError(str(content)) if failed else None),
        )

    def failed(self, error: BaseException) -> None:
        super().failed(error)
        if self.step is not None:
            _open.pop(self.step.id, None)

    def after(self) -> None:
        if self.step is not None:
            _open.pop(self.step.id, None)
        if self.stop is not None:
            raise self.stop

    @property
    def events(self) -> str:
        """How the names of this run's own events begin."""
        return "Run"

    def _result(self, result: Any) -> None:
        status = getattr(getattr(result, "status", None), "value", None)
        self.status = _STATUS.get(str(status).capitalize(), Status.OK)
        self.content = _snapshot(getattr(result, "content", None))
        if self.status is Status.INTERRUPTED:
            self._remember(result)

    def _remember(self, result: Any) -> None:
        run_id = getattr(result, "run_id", None)
        if self.step is not None and isinstance(run_id, str):
            _paused[run_id] = self.step.workflow_id
            while len(_paused) > MAX_PAUSED:
                _paused.popitem(last=False)


class AgentCall(RunCall):
    """A run of an agent or a team."""

    kind = Kind.AGENT
    id_field = ("team_id", "agent_id")

    @property
    def events(self) -> str:
        return "TeamRun" if hasattr(self.target, "members") else "Run"


class WorkflowCall(RunCall):
    """A run of a workflow."""

    kind = Kind.WORKFLOW
    id_field = ("workflow_id",)

    @property
    def events(self) -> str:
        return "Workflow"


class TaskCall(Call):
    """One step of a workflow."""

    def open(self, recorder: Recorder, parent: OpenStep | None) -> OpenStep:
        given = self.kwargs.get("step_input", self.args[0] if self.args else None)
        self.content: Any = None
        return recorder.start(
            Kind.TASK,
            str(getattr(self.target, "name", None) or "step")[:80],
            source=SOURCE,
            parent=parent,
            input=recorder.snapshot(_plain(getattr(given, "input", None))),
        )

    def item(self, recorder: Recorder, step: OpenStep, item: Any) -> None:
        if type(item).__name__ == "StepOutput":
            self.content = item

    def close(self, recorder: Recorder, step: OpenStep, result: Any) -> None:
        output = self.content if result is None else result
        self.content = None
        failed = getattr(output, "success", True) is False
        recorder.end(
            step,
            status=Status.ERROR if failed else Status.OK,
            output=_snapshot(getattr(output, "content", None)),
            error=AgnoError(str(getattr(output, "error", None) or "the step failed")) if failed else None,
        )


_STATUS = {
    "Completed": Status.OK,
    "Error": Status.ERROR,
    "Cancelled": Status.CANCELLED,
    "Paused": Status.INTERRUPTED,
}


def run_around(step: OpenStep | None) -> RunCall | None:
    """The innermost open run around a step, its own included."""
    while step is not None:
        run = _open.get(step.id)
        if run is not None:
            return run
        step = step.parent
    return None


def stop_runs_around(step: OpenStep | None, error: StopWorkflow) -> None:
    """A guard refused a call in these runs: agno takes that for an error of theirs, so each raises it at its end."""
    while step is not None:
        run = _open.get(step.id)
        if run is not None and run.stop is None:
            run.stop = error
        step = step.parent


def _plain(value: Any) -> Any:
    """Messages as role and content: the rest of them is settings."""
    if type(value).__name__ == "Message":
        return {"role": value.role, "content": value.content}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _snapshot(value: Any) -> Any:
    return runtime.current_recorder().snapshot(_plain(value))
