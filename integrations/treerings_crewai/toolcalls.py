"""Which model call asked for a tool: CrewAI does not say, name and arguments do."""

from __future__ import annotations

import json
from typing import Any

from .ends import End
from .scopes import Asked, Scope

__all__ = ["link", "remember_asked"]

MAX_ASKED = 200


def remember_asked(call: Scope, end: End) -> list[tuple[Scope, dict[str, Any]]]:
    """Keep what an agent's model call asked for; the tools that were told before this, with what to add to them."""
    if not end.asked:
        return []
    execution = call.execution
    asked = execution.asked.setdefault(call.agent, [])
    asked.extend(Asked(_plain(name), _parsed(arguments), id, call.step.id) for name, arguments, id in end.asked)
    del asked[:-MAX_ASKED]
    early = execution.unlinked.pop(call.agent, [])
    return [(tool, added) for tool in early if tool.at_ns >= call.ended_ns and (added := link(tool))]


def link(tool: Scope) -> dict[str, Any]:
    """What to say of a tool about the call that asked for it, the latest first; each request is named once."""
    execution = tool.execution
    name = _plain(str(tool.key[-1])) if tool.key is not None else ""
    asked = execution.asked.get(tool.agent, [])
    same = [item for item in asked if item.name == name]
    exact = [item for item in same if item.arguments == _parsed(tool.args)]
    if not same:
        waiting = execution.unlinked.setdefault(tool.agent, [])
        if tool not in waiting:
            waiting.append(tool)
            del waiting[:-MAX_ASKED]
        return {}
    item = (exact or same)[-1]
    asked.remove(item)
    return {"called_by": item.step_id} | ({"tool_call_id": item.id} if item.id else {})


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _parsed(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
