"""Teams: each run is a workflow step, the parent of everything that its agents do."""

from __future__ import annotations

from typing import Any

from autogen_agentchat.base import TaskResult
from autogen_agentchat.teams import BaseGroupChat
from treerings import Kind, Status, runtime
from treerings.context import OpenStep

from . import payloads
from .classes import WrappedMethods
from .outcome import status_of
from .places import add_team, is_running, place, remove_team
from .watching import streaming

__all__ = ["TEAM_METHODS"]

SOURCE = "autogen"


class _TeamWatch:
    def __init__(self, team_id: str, step: OpenStep) -> None:
        self.team_id = team_id
        self.step = step
        self.result: TaskResult | None = None

    def item(self, item: Any) -> None:
        if isinstance(item, TaskResult):
            self.result = item

    def end(self, error: BaseException | None, result: Any = None) -> BaseException | None:
        stop = remove_team(self.team_id, self.step)
        if stop is not None and isinstance(error, Exception):  # a team passes on the text of an error, not the error
            error = stop
        finished = None if self.result is None else self.result.stop_reason
        runtime.current_recorder().end(
            self.step,
            status=Status.OK if self.result is not None and isinstance(error, GeneratorExit) else status_of(error),
            output=payloads.taken(payloads.result(self.result)),
            error=error if isinstance(error, Exception) else None,
            attributes=None if finished is None else {"stop_reason": payloads.taken(finished)},
        )
        return stop if error is stop else None


def _begin(team: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _TeamWatch | None:
    recorder = runtime.current_recorder()
    if not recorder.enabled:
        return None
    team_id = str(team._team_id)
    parent = place()
    if parent is not None and is_running(team_id, parent):  # a subclass calls what it inherits
        return None
    step = recorder.start(
        Kind.WORKFLOW,
        team.name,
        source=SOURCE,
        parent=parent,
        input=payloads.taken(payloads.task(kwargs.get("task"))),
        attributes={"team": type(team).__name__, "team_id": team_id},
    )
    add_team(team_id, step)
    return _TeamWatch(team_id, step)


TEAM_METHODS = WrappedMethods(BaseGroupChat, {"run_stream": streaming(_begin)})
"""`run` reads `run_stream`."""
