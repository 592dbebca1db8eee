"""The process in which `treerings doctor` tries one framework: runs the probe, captures it in memory, says what it saw."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..registry import Integration
from ..testing.capturing import capture
from ..testing.model_script import Answer, ToolCall
from ..testing.model_server import ModelServer

if TYPE_CHECKING:
    from ..testing.model_request import ModelRequest

__all__ = ["Finding", "main", "probe"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe recorded, beside what its model server sent."""

    kinds: list[str] = field(default_factory=list)
    """The kinds of the steps that are no plumbing, in their order."""
    workflows: int = 0
    recorded_tokens: int = 0
    served_tokens: int | None = None
    """None when the server was not asked, or answered without saying its usage."""
    error: str | None = None


def main() -> None:
    """Read the integration from standard input, write the finding to standard output and leave at once.

    Whatever the framework prints does not get there, and no thread of its own keeps the process alive.
    """
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    answers = os.dup(1)
    os.dup2(2, 1)
    finding = probe(Integration(**given["integration"]))
    os.write(answers, json.dumps(asdict(finding)).encode())
    sys.stderr.flush()
    os._exit(0)


def probe(integration: Integration) -> Finding:
    """Instrument, run the probe, undo, and look at what was captured."""
    try:
        with ModelServer(default=_answer) as server, capture() as captured:
            module = integration.load()
            module.instrument()
            try:
                module.probe(server.base_url)
            finally:
                module.uninstrument()
            workflows = captured.workflows
            served = server.usage_served
    except Exception as error:  # a framework's code: anything may happen
        return Finding(error=" ".join(f"{type(error).__name__}: {error}".split()))
    return Finding(
        kinds=[str(step.kind) for step in captured.steps if not step.attributes.get("hidden")],
        workflows=len(workflows),
        recorded_tokens=sum(workflow.totals.total_tokens for workflow in workflows),
        served_tokens=served.total_tokens if served.calls and not served.calls_without_usage else None,
    )


_SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")


def _answer(request: ModelRequest) -> Answer:
    """Call the first tool once, then answer."""
    tools = request.data.get("tools") or []
    if not tools or any(turn.role == "tool" for turn in request.turns):  # some ask on after the result
        return Answer("112 rings.")
    declared = tools[0]
    function: dict[str, Any] = declared.get("function") or (declared.get("functionDeclarations") or [declared])[0]
    schema: dict[str, Any] = next((function[name] for name in _SCHEMAS if function.get(name)), {})
    return Answer(tool_calls=[ToolCall(function["name"], {name: _value(of) for name, of in _needed(schema)})])


def _needed(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    properties = schema.get("properties") or {}
    return [(name, of) for name, of in properties.items() if name in schema.get("required", properties)]


def _value(schema: dict[str, Any]) -> object:
    values = {"string": "oak", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    return values.get(str(schema.get("type", "string")).lower(), "oak")
