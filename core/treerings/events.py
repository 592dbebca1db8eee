"""What integrations say about a step: it started, something is known about it, it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from .usage import Usage

__all__ = ["LEAF_KINDS", "Event", "Kind", "Status", "StepEnded", "StepStarted", "StepUpdated"]


class Kind(StrEnum):
    """What a step is."""

    WORKFLOW = "workflow"
    AGENT = "agent"
    TASK = "task"
    NODE = "node"
    CHAIN = "chain"
    LLM = "llm"
    TOOL = "tool"
    RETRIEVER = "retriever"
    RERANKER = "reranker"
    EMBEDDING = "embedding"
    GUARDRAIL = "guardrail"
    HANDOFF = "handoff"
    MEMORY = "memory"
    HUMAN = "human"


class Status(StrEnum):
    """How a step stands. Control flow is not an error: an interrupt is `interrupted`, a handoff is `ok`."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    INCOMPLETE = "incomplete"


LEAF_KINDS = frozenset({Kind.LLM, Kind.EMBEDDING})
"""Kinds whose steps are model calls: they carry usage and cost."""


@dataclass(slots=True)
class StepStarted:
    """A step began.

    `time_ns` is UTC in nanoseconds since the epoch; `clock_ns` is a monotonic clock, from which durations are taken;
    `sequence` grows with every event that a process emits. A step without a parent is the root of its workflow and
    has the workflow's id. `input` and `attributes` are plain bounded data (see `treerings.snapshot`).
    """

    step_id: str
    workflow_id: str
    parent_id: str | None
    kind: Kind
    name: str
    source: str
    time_ns: int
    clock_ns: int
    sequence: int
    input: Any = None
    model: str | None = None
    provider: str | None = None
    labels: Mapping[str, str] | None = None
    attributes: Mapping[str, Any] | None = None


@dataclass(slots=True)
class StepUpdated:
    """Something became known about a step; `None` says nothing about a field. Later updates win over earlier ones."""

    step_id: str
    workflow_id: str
    time_ns: int
    clock_ns: int
    sequence: int
    kind: Kind | None = None
    name: str | None = None
    model: str | None = None
    provider: str | None = None
    input: Any = None
    usage: Usage | None = None
    first_token_ns: int | None = None
    """When the first token arrived, on the monotonic clock."""
    labels: Mapping[str, str] | None = None
    attributes: Mapping[str, Any] | None = None


@dataclass(slots=True)
class StepEnded:
    """A step ended; the first end that is said of a step counts. `None` says nothing about a field."""

    step_id: str
    workflow_id: str
    time_ns: int
    clock_ns: int
    sequence: int
    status: Status
    output: Any = None
    usage: Usage | None = None
    model: str | None = None
    provider: str | None = None
    error_type: str | None = None
    error: str | None = None
    input: Any = None
    """The input, where it was not known at the start (streams)."""
    kind: Kind | None = None
    name: str | None = None
    attributes: Mapping[str, Any] | None = None


Event: TypeAlias = StepStarted | StepUpdated | StepEnded
