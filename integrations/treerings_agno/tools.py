"""Tool calls, and the tools by which a team hands a task to a member."""

from __future__ import annotations

from typing import Any

from treerings import Kind, Recorder, Status, StopWorkflow
from treerings.context import OpenStep, current_step

from .calls import SOURCE, Call
from .models import asked_by
from .runs import stop_runs_around

__all__ = ["ToolCall"]

DELEGATES = {"delegate_task_to_member", "delegate_task_to_members"}
CONTENT = ("RunContent", "TeamRunContent")
MAX_CHARS = 262_144


class ToolCall(Call):
    """One `FunctionCall`; of a tool that is a generator until it has been read."""

    def open(self, recorder: Recorder, parent: OpenStep | None) -> OpenStep:
        self.texts: list[str] = []
        self.chars = 0
        function, arguments = self.target.function, self.target.arguments or {}
        attributes: dict[str, Any] = {}
        kind = Kind.TOOL
        if function.name in DELEGATES and getattr(function, "_team", None) is not None:
            kind = Kind.HANDOFF
            attributes["handoff_to"] = _member(function._team, arguments.get("member_id"))
        call_id = self.target.call_id
        if call_id:
            attributes["tool_call_id"] = call_id
            if parent is not None and (asked := asked_by(parent.workflow_id, call_id)):
                attributes["called_by"] = asked
        return recorder.start(
            kind,
            function.name,
            source=SOURCE,
            parent=parent,
            input=recorder.snapshot(arguments),
            attributes=attributes or None,
        )

    def stopped(self, error: StopWorkflow) -> None:
        stop_runs_around(current_step(), error)

    def item(self, recorder: Recorder, step: OpenStep, item: Any) -> None:
        said = item.content if getattr(item, "event", None) in CONTENT else item
        if isinstance(said, str) and self.chars < MAX_CHARS:
            self.texts.append(said)
            self.chars += len(said)

    def close(self, recorder: Recorder, step: OpenStep, result: Any) -> None:
        if result is None:
            recorder.end(step, output="".join(self.texts) or None)
            return
        if result.status != "success":  # agno gives the model the error's text
            recorder.end(step, status=Status.ERROR, error=ToolError(str(result.error)))
            return
        output = getattr(result.result, "content", result.result)
        recorder.end(step, output=recorder.snapshot(output))


class ToolError(Exception):
    """What a tool raised, of which agno keeps the text only."""


def _member(team: Any, member_id: Any) -> str:
    """The name of the member with this id; all of them for a task that goes to all."""
    from agno.utils.team import get_member_id

    members = team.members if isinstance(getattr(team, "members", None), list) else []
    if member_id is None:
        return ", ".join(str(member.name) for member in members)
    for member in members:
        if get_member_id(member) == member_id and member.name:
            return str(member.name)
    return str(member_id)
