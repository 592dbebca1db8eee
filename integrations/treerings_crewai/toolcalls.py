"""Which model call asked for a tool: CrewAI does not say, name and arguments do."""

from __future__ import annotations

import json
from typing import Any

from .ends import End
from .scopes import Execution, Scope
from .starts import Start

__all__ = ["asked_for", "remember_asked"]

MAX_ASKED = 200


def remember_asked(call: Scope, end: End) -> None:
    """Keep what an agent's model call asked for."""
    if not end.asked:
        return
    asked = call.execution.asked.setdefault(call.agent, [])
    asked.extend((_plain(name), _parsed(arguments), id, call.step.id) for name, arguments, id in end.asked)
    del asked[:-MAX_ASKED]


def asked_for(execution: Execution, said: Start) -> None:
    """Say of a tool which call asked for it, the latest first; each is named once."""
    asked = execution.asked.get(said.agent)
    if not asked:
        return
    name = _plain(said.name)
    for arguments in (_parsed(said.args), ...):
        for index in range(len(asked) - 1, -1, -1):
            if asked[index][0] == name and (arguments is ... or asked[index][1] == arguments):
                _, _, tool_call_id, step_id = asked.pop(index)
                said.attributes["called_by"] = step_id
                if tool_call_id:
                    said.attributes["tool_call_id"] = tool_call_id
                return


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _parsed(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
