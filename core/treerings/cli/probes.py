"""What `treerings doctor` runs: a small scripted agent in every installed framework, captured in memory."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from typing import TYPE_CHECKING

from .. import runtime
from ..registry import found
from ..testing.capturing import capture
from ..testing.model_script import Answer, ToolCall
from ..testing.model_server import ModelServer
from .checks import Check

if TYPE_CHECKING:
    from ..registry import Integration
    from ..testing.model_request import ModelRequest

__all__ = ["framework_checks"]

LONGEST = 120.0
"""Seconds that one framework may take, its import included."""

QUIET = {
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "OTEL_SDK_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
"""Keeps frameworks from sending the probe anywhere but to the server in this process."""


def framework_checks() -> list[Check]:
    """One check for every framework that an integration knows."""
    registry = runtime.registry()
    registry.load()
    os.environ.update(QUIET)
    return [_check(integration) for _, integration in sorted(registry.integrations.items())]


def _check(integration: Integration) -> Check:
    if not integration.installed:
        return Check(integration.name, "note", f"{integration.package} is not installed", integration.install_hint)
    missing = [package for package in integration.probe_needs if not found(package)]
    if missing:
        hint = f"pip install {' '.join(package.replace('_', '-') for package in missing)}"
        return Check(integration.name, "note", f"installed; not tried, because {', '.join(missing)} is missing", hint)
    outcome: list[Check] = []
    thread = threading.Thread(target=lambda: outcome.append(_probe(integration)), daemon=True)
    thread.start()
    thread.join(LONGEST)
    return (
        outcome[0] if outcome else Check(integration.name, "failed", f"the probe did not end in {LONGEST:.0f} seconds")
    )


def _probe(integration: Integration) -> Check:
    version = integration.version or "unknown version"
    silenced = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(silenced),
            contextlib.redirect_stderr(silenced),
            ModelServer(default=_answer) as server,
            capture() as captured,
        ):
            module = integration.load()
            module.instrument()
            try:
                module.probe(server.base_url)
            finally:
                module.uninstrument()
            kinds = [str(step.kind) for step in captured.steps if not step.attributes.get("hidden")]
    except Exception as error:  # a framework's code: anything may happen
        return Check(integration.name, "failed", f"{version}: {type(error).__name__}: {error}")
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing"
    lacking = [kind for kind in integration.expected if kind not in kinds]
    if lacking:
        return Check(integration.name, "failed", f"{version}: captured {counts}; {', '.join(lacking)} is missing")
    return Check(integration.name, "ok", f"{version}: captured {counts}")


def _answer(request: ModelRequest) -> Answer:
    """Call the first tool once, then answer."""
    tools = request.data.get("tools") or []
    if not tools or request.tool_result is not None:
        return Answer("112 rings.")
    function = tools[0].get("function", tools[0])
    properties = function.get("parameters", {}).get("properties", {})
    values = {"string": "oak", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    arguments = {name: values.get(schema.get("type", "string"), "oak") for name, schema in properties.items()}
    return Answer(tool_calls=[ToolCall(function["name"], arguments)])
