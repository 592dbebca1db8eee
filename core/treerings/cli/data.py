"""Steps, workflows and totals as plain data, under the names of the stores' columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..records import Step, Totals, Workflow

__all__ = ["step_data", "totals_data", "workflow_data"]


def step_data(step: Step) -> dict[str, Any]:
    """A step with its payloads."""
    usage = step.usage
    return {
        "id": step.id,
        "workflow_id": step.workflow_id,
        "parent_id": step.parent_id,
        "sequence": step.sequence,
        "kind": str(step.kind),
        "name": step.name,
        "source": step.source,
        "agent": step.agent,
        "model": step.model,
        "provider": step.provider,
        "status": str(step.status),
        "error_type": step.error_type,
        "error": step.error,
        "started_at": _time(step.started_at),
        "ended_at": _time(step.ended_at),
        "duration_ms": step.duration_ms,
        "first_token_ms": step.first_token_ms,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cache_read_tokens": usage.cache_read_tokens if usage else None,
        "cache_write_tokens": usage.cache_write_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "usage": usage.as_dict() if usage else None,
        "cost_usd": step.cost_usd,
        "price": step.price,
        "counted": step.counted,
        "estimated": step.estimated,
        "session_id": step.session_id,
        "user_id": step.user_id,
        "tenant_id": step.tenant_id,
        "labels": step.labels,
        "attributes": step.attributes,
        "input": step.input,
        "output": step.output,
    }


def workflow_data(workflow: Workflow) -> dict[str, Any]:
    """A workflow without its steps; `steps` is their number."""
    sums = totals_data(workflow.totals)
    return {
        "id": workflow.id,
        "name": workflow.name,
        "source": workflow.source,
        "status": str(workflow.status),
        "error": workflow.error,
        "started_at": _time(workflow.started_at),
        "ended_at": _time(workflow.ended_at),
        "duration_ms": workflow.duration_ms,
        **{key: value for key, value in sums.items() if key not in ("workflows", "duration_ms")},
        "session_id": workflow.session_id,
        "user_id": workflow.user_id,
        "tenant_id": workflow.tenant_id,
        "labels": workflow.labels,
    }


def totals_data(totals: Totals) -> dict[str, Any]:
    """Totals beside the dimensions that they are of; `cost_usd` is null when no cost at all is known."""
    unknown = not totals.cost_usd and totals.unpriced_calls > 0
    return {
        **totals.key,
        "workflows": totals.workflows,
        "steps": totals.steps,
        "llm_calls": totals.llm_calls,
        "tool_calls": totals.tool_calls,
        "failed_steps": totals.failed_steps,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cache_read_tokens": totals.cache_read_tokens,
        "cache_write_tokens": totals.cache_write_tokens,
        "reasoning_tokens": totals.reasoning_tokens,
        "cost_usd": None if unknown else totals.cost_usd,
        "unpriced_calls": totals.unpriced_calls,
        "estimated_calls": totals.estimated_calls,
        "duration_ms": totals.duration_ms,
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
