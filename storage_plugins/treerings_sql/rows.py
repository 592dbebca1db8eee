"""Steps as rows, and rows as steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any

import orjson
from sqlalchemy import Row
from treerings.events import Kind, Status
from treerings.plain import dump_json
from treerings.queries import microseconds
from treerings.records import Step, Totals, Workflow
from treerings.usage import Usage

from .tables import STEP, WORKFLOW

__all__ = [
    "STEP_COLUMNS",
    "WORKFLOW_COLUMNS",
    "cleaned",
    "decimal",
    "json_text",
    "payload_row",
    "step_of",
    "step_row",
    "workflow_of",
]

STEP_COLUMNS = tuple(STEP.columns.keys())
WORKFLOW_COLUMNS = tuple(WORKFLOW.columns.keys())
_NO_USAGE = Usage()
_LARGEST = 2**63 - 1


def json_text(value: object) -> str | None:
    return None if value is None else dump_json(value).decode()


def step_row(step: Step, time: Callable[[int], Any], writer_id: str | None, revision: int) -> tuple[Any, ...]:
    """The values in the order of `STEP_COLUMNS`; `time` makes nanoseconds what the engine takes for a time."""
    usage = step.usage
    sums = usage or _NO_USAGE
    cost = step.cost_usd
    return (
        step.id,
        step.workflow_id,
        step.parent_id,
        step.sequence,
        str(step.kind),
        step.name,
        step.source,
        step.agent,
        step.model,
        step.provider,
        str(step.status),
        step.error_type,
        step.error,
        time(step.started_ns),
        None if step.ended_ns is None else time(step.ended_ns),
        step.duration_ms,
        step.first_token_ms,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_read_tokens,
        sums.cache_write_tokens,
        sums.reasoning_tokens,
        None if usage is None else dump_json(usage.as_dict()).decode(),
        None if cost is None else float(cost),
        dump_json(step.price).decode() if step.price else None,
        step.counted,
        step.estimated,
        step.session_id,
        step.user_id,
        step.tenant_id,
        dump_json(step.labels).decode() if step.labels else None,
        dump_json(step.attributes).decode() if step.attributes else None,
        writer_id if step.status is Status.RUNNING else None,
        revision,
    )


def payload_row(step: Step) -> tuple[str, str | None, str | None]:
    return step.id, json_text(step.input), json_text(step.output)


def cleaned(step: Step) -> Step:
    """The step in values that any engine takes.

    Lone surrogates become `?`, NUL becomes `\ufffd`, whole numbers are cut to 64 bits, what is infinite or not a number is
    unknown.
    """
    values = {name: _clean(getattr(step, name)) for name in Step.__slots__ if name not in ("input", "output")}
    if step.usage is not None:
        counts = {name: _clean(getattr(step.usage, name)) for name in Usage.__slots__}
        values["usage"] = replace(step.usage, **counts)
    values["labels"] = {_clean(key): _clean(value) for key, value in step.labels.items()}
    return replace(step, **values)


def _clean(value: Any) -> Any:
    if isinstance(value, Enum | bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, int):
        return max(-_LARGEST, min(value, _LARGEST))
    if isinstance(value, float | Decimal):
        return value if isfinite(value) else None
    return value


def decimal(cost: float) -> Decimal:
    """A sum or a price as it was before it became a float: to 15 significant digits."""
    return Decimal(f"{cost:.15g}")


def _object(text: str | dict[str, Any] | None) -> dict[str, Any]:
    """An object that an engine gives as text, or read already."""
    return orjson.loads(text) if isinstance(text, str) else text or {}


def _value(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _usage(text: str) -> Usage:
    known = orjson.loads(text)
    return Usage(**{name: known[name] for name in Usage.__slots__ if name in known})


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment) * 1000


def step_of(row: Row[Any]) -> Step:
    """A step from a row of `step` and, where they were asked for, `input` and `output`."""
    values: tuple[Any, ...] = tuple(row)
    id, workflow_id, parent_id, sequence, kind, name, source, agent, model, provider, status = values[:11]
    error_type, error, started_at, ended_at, duration_ms, first_token_ms = values[11:17]
    usage, cost_usd, price, counted, estimated = values[22:27]
    session_id, user_id, tenant_id, labels, attributes = values[27:32]
    input, output = values[34:36] or (None, None)
    return Step(
        id=id,
        workflow_id=workflow_id,
        parent_id=parent_id,
        sequence=sequence,
        kind=Kind(kind),
        name=name,
        source=source,
        status=Status(status),
        started_ns=microseconds(started_at) * 1000,
        agent=agent,
        model=model,
        provider=provider,
        error_type=error_type,
        error=error,
        ended_ns=_nanoseconds(ended_at),
        duration_ms=duration_ms,
        first_token_ms=first_token_ms,
        usage=None if usage is None else _usage(usage),
        cost_usd=None if cost_usd is None else Decimal(repr(cost_usd)),
        price=_value(price),
        counted=counted,
        estimated=estimated,
        session_id=session_id,
        user_id=user_id,
        tenant_id=tenant_id,
        labels=_object(labels),
        attributes=_object(attributes),
        input=_value(input),
        output=_value(output),
    )


def workflow_of(row: Row[Any]) -> Workflow:
    """A workflow without its steps, from a row of `workflow`."""
    return Workflow(
        id=row.id,
        name=row.name,
        source=row.source,
        status=Status(row.status),
        started_ns=microseconds(row.started_at) * 1000,
        ended_ns=_nanoseconds(row.ended_at),
        duration_ms=row.duration_ms,
        error=row.error,
        session_id=row.session_id,
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        labels=_object(row.labels),
        totals=Totals(
            workflows=1,
            steps=row.steps,
            llm_calls=row.llm_calls,
            tool_calls=row.tool_calls,
            failed_steps=row.failed_steps,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cache_read_tokens=row.cache_read_tokens,
            cache_write_tokens=row.cache_write_tokens,
            reasoning_tokens=row.reasoning_tokens,
            cost_usd=decimal(row.cost_usd),
            unpriced_calls=row.unpriced_calls,
            estimated_calls=row.estimated_calls,
            duration_ms=row.steps_duration_ms,
        ),
    )
