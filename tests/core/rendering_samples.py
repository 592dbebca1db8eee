"""Workflows made by hand for the tests of trees and tables."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType
from treerings.events import Kind, Status
from treerings.records import Step, Workflow
from treerings.usage import Usage

START_NS = 1_795_250_000_000_000_000
WORKFLOW_ID = "0197b2f0a1b27000800000000000000a"


class Builder:
    """Adds steps under each other; every step starts 100 ms after the one before it."""

    def __init__(self, workflow_id: str = WORKFLOW_ID) -> None:
        self.workflow_id = workflow_id
        self.steps: list[Step] = []

    def add(self, parent: Step | None, kind: str, name: str, **facts: Any) -> Step:
        number = len(self.steps) + 1
        started_ns = START_NS + (number - 1) * 100_000_000
        duration_ms = facts.pop("duration_ms", 250.0)
        step = Step(
            id=self.workflow_id if parent is None else f"{number:032x}",
            workflow_id=self.workflow_id,
            parent_id=None if parent is None else parent.id,
            sequence=number,
            kind=Kind(kind),
            name=name,
            source=facts.pop("source", "langchain"),
            status=Status(facts.pop("status", "ok")),
            started_ns=started_ns,
            agent=facts.pop("agent", parent.agent if parent else None) if kind != "agent" else name,
            duration_ms=duration_ms,
            ended_ns=None if duration_ms is None else started_ns + int(duration_ms * 1_000_000),
            **facts,
        )
        self.steps.append(step)
        return step

    def call(self, parent: Step, tokens: tuple[int, int] | None, cost: str | None, **facts: Any) -> Step:
        usage = None if tokens is None else Usage(input_tokens=tokens[0], output_tokens=tokens[1])
        facts.setdefault("model", "gpt-5-mini")
        usage = facts.pop("usage", usage)
        price = None if cost is None else Decimal(cost)
        return self.add(parent, "llm", "ChatOpenAI", usage=usage, cost_usd=price, **facts)

    @property
    def workflow(self) -> Workflow:
        return Workflow.of(self.workflow_id, self.steps)


def support_desk() -> Workflow:
    """A run with plumbing, a handoff, a retry, an error that was handled and every kind of price."""
    b = Builder()
    root = b.add(None, "workflow", "support desk", duration_ms=2400.0, session_id="s-41", user_id="u-7")
    supervisor = b.add(root, "agent", "supervisor", duration_ms=400.0)
    node = b.add(supervisor, "node", "agent", attributes={"hidden": True})
    b.call(node, (1204, 86), "0.000473", model="gpt-5.2-chat", usage=Usage(1204, 86, 1024))
    b.add(supervisor, "handoff", "transfer_to_researcher", attributes={"handoff_to": "researcher"}, duration_ms=1.2)
    researcher = b.add(root, "agent", "researcher", duration_ms=1500.0)
    failed = {"status": "error", "error_type": "RateLimitError", "error": "429: slow down,\nplease"}
    b.call(researcher, None, None, duration_ms=31.0, **failed)
    b.call(researcher, (2310, 142), "0.00086", attributes={"attempt": 2}, first_token_ms=180.0)
    no_order = {"status": "error", "error_type": "ToolException", "error": "No order 9-1137"}
    b.add(researcher, "tool", "look_up_order", duration_ms=12.0, **no_order)
    b.call(researcher, (3120, 305), None, model="house-model-7b", estimated=True)
    b.add(root, "retriever", "knowledge base", status="cancelled", duration_ms=5.0)
    return b.workflow


def printed(renderable: RenderableType, width: int = 120, *, color: bool = False) -> str:
    """What a terminal of this width would show, without colours unless asked for."""
    out = StringIO()
    Console(file=out, width=width, force_terminal=color, color_system="truecolor" if color else None).print(renderable)
    return out.getvalue()
