"""Sample steps and workflows to test stores with, and short ways to look at what became of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from treerings.events import Kind, Status
from treerings.records import Step, Workflow
from treerings.store import Filter, Store
from treerings.usage import Usage

__all__ = ["START", "agree", "listed", "make_step", "make_workflow", "read", "step_id", "tree", "workflow_id"]

START = datetime(2026, 1, 1, 22, 30, tzinfo=UTC)
"""When the samples begin."""


def workflow_id(number: int) -> str:
    """The id of sample workflow `number`, and of its root step."""
    return f"a{number:031x}"


def step_id(number: int, workflow: int = 1) -> str:
    """The id of step `number` of a sample workflow; 0 is the root."""
    return workflow_id(workflow) if number == 0 else f"5{workflow:015x}{number:016x}"


def make_step(
    number: int = 1,
    *,
    workflow: int = 1,
    parent: int = 0,
    kind: Kind | None = None,
    name: str | None = None,
    source: str = "user",
    status: Status = Status.OK,
    after: float = 0.0,
    seconds: float | None = 1.0,
    usage: Usage | None = None,
    tokens: tuple[int, int] | None = None,
    cost: str | None = None,
    counted: bool = True,
    estimated: bool = False,
    agent: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    error: str | None = None,
    session_id: str | None = None,
    user_id: str | None = None,
    tenant_id: str | None = None,
    labels: dict[str, str] | None = None,
    attributes: dict[str, Any] | None = None,
    input: Any = None,
    output: Any = None,
) -> Step:
    """A step that started `after` seconds from `START` and took `seconds`; number 0 is the root of its workflow.

    Without a `kind`, the root is a workflow and every other step a model call. `tokens` are those of input and output.
    """
    if kind is None:
        kind = Kind.WORKFLOW if number == 0 else Kind.LLM
    if tokens is not None:
        usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1])
    started_ns = int((START + timedelta(seconds=after)).timestamp()) * 10**9 + round(after % 1 * 1e6) * 1000
    ended = status is not Status.RUNNING and seconds is not None
    return Step(
        id=step_id(number, workflow),
        workflow_id=workflow_id(workflow),
        parent_id=None if number == 0 else step_id(parent, workflow),
        sequence=number,
        kind=kind,
        name=kind.value if name is None else name,
        source=source,
        status=status,
        started_ns=started_ns,
        agent=agent,
        model=model,
        provider=provider,
        error_type="ValueError" if error is not None else None,
        error=error,
        ended_ns=started_ns + round((seconds or 0) * 1e6) * 1000 if ended else None,
        duration_ms=(seconds or 0) * 1000 if ended else None,
        usage=usage,
        cost_usd=None if cost is None else Decimal(cost),
        counted=counted,
        estimated=estimated,
        session_id=session_id,
        user_id=user_id,
        tenant_id=tenant_id,
        labels=dict(labels or {}),
        attributes=dict(attributes or {}),
        input=input,
        output=output,
    )


def make_workflow(
    number: int = 1,
    *,
    after: float = 0.0,
    cost: str = "0.25",
    model: str = "gpt-4o-mini",
    agent: str = "writer",
    status: Status = Status.OK,
    session_id: str | None = None,
    labels: dict[str, str] | None = None,
) -> list[Step]:
    """A root, an agent, its model call of 30 + 10 tokens, and the tool that was called."""
    return [
        make_step(0, workflow=number, after=after, seconds=4, status=status, session_id=session_id, labels=labels),
        make_step(
            1,
            workflow=number,
            after=after + 0.5,
            seconds=3,
            kind=Kind.AGENT,
            agent=agent,
            session_id=session_id,
            labels=labels,
        ),
        make_step(
            2,
            workflow=number,
            parent=1,
            after=after + 1,
            tokens=(30, 10),
            cost=cost,
            agent=agent,
            model=model,
            provider="openai",
            session_id=session_id,
            labels=labels,
            input={"messages": ["What is a tree ring?"]},
            output="A year.",
        ),
        make_step(
            3,
            workflow=number,
            parent=1,
            after=after + 2,
            kind=Kind.TOOL,
            name="search",
            agent=agent,
            session_id=session_id,
            labels=labels,
        ),
    ]


def tree(store: Store, number: int = 1) -> Workflow:
    """The workflow, which must be there."""
    found = store.workflow(workflow_id(number))
    assert found is not None
    return found


def listed(store: Store, number: int = 1) -> Workflow:
    """The workflow as listings show it."""
    (found,) = store.workflows(Filter(workflow_id=workflow_id(number)))
    return found


def read(store: Store, number: int = 1) -> Step:
    """Step `number` of the first workflow."""
    return next(step for step in tree(store).steps if step.id == step_id(number))


def agree(store: Store, number: int = 1) -> None:
    """The listing shows what the tree adds up to."""
    assert replace(tree(store, number), steps=[]) == listed(store, number)
