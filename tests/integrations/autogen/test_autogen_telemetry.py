"""A15, A16: the tree needs no OpenTelemetry, and leaves it alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from treerings.testing import Capture, ModelServer

SCRIPT = """
import asyncio, warnings
warnings.simplefilter("ignore")
from opentelemetry import trace
from treerings.testing import Answer, ModelServer, ToolCall, capture
from treerings_autogen import integration

provider = trace.get_tracer_provider()
def answer(request):
    if request.tools and request.tool_result is None:
        return Answer(tool_calls=[ToolCall("ring_count", {"tree": "oak"})])
    return "done"

integration.instrument()
with ModelServer(default=answer) as server, capture() as captured:
    integration.probe(server.base_url)
    print(captured.outline())
assert trace.get_tracer_provider() is provider
"""


def test_the_tree_is_whole_without_telemetry() -> None:
    off = {"OTEL_SDK_DISABLED": "true", "AUTOGEN_DISABLE_RUNTIME_TRACING": "true"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **off}, capture_output=True, text=True, check=True
    )

    assert done.stdout == (
        "workflow RoundRobinGroupChat\n  agent probe\n    llm OpenAIChatCompletionClient\n    tool ring_count\n"
    )


def test_a_program_with_spans_has_the_same_tree(
    server: ModelServer, client: Callable[..., Any], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    server.say("one")

    team = RoundRobinGroupChat([AssistantAgent("ann", client())], max_turns=1)
    asyncio.run(team.run(task="count"))

    assert "invoke_agent ann" in [span.name for span in exporter.get_finished_spans()]
    assert captured.outline() == "workflow RoundRobinGroupChat\n  agent ann\n    llm OpenAIChatCompletionClient"
