"""What the events mean: steps, the workflow that they form, and sums over steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .events import LEAF_KINDS, Kind, Status
from .usage import Usage

__all__ = ["Step", "Totals", "Workflow"]


@dataclass(slots=True)
class Step:
    """One unit of work, as far as it is known. Treat it as a value: a newer state of the step is a new object."""

    id: str
    workflow_id: str
    parent_id: str | None
    sequence: int
    """Grows in the order of the starts within a process."""
    kind: Kind
    name: str
    source: str
    status: Status
    started_ns: int
    """UTC, nanoseconds since the epoch, cut to whole microseconds."""
    agent: str | None = None
    """The name of the nearest enclosing agent step, this step included."""
    model: str | None = None
    provider: str | None = None
    error_type: str | None = None
    error: str | None = None
    ended_ns: int | None = None
    duration_ms: float | None = None
    """From the monotonic clock."""
    first_token_ms: float | None = None
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    """None is unknown, never free."""
    price: dict[str, Any] | None = None
    """Where `cost_usd` comes from: source, version, rule, confidence."""
    counted: bool = True
    """False where an inner step of the same call carries the usage: this one shows it, totals leave it out."""
    estimated: bool = False
    """Whether the tokens are ours and not the provider's."""
    session_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    """Plain data; None where nothing is known, or where the state before this one already said it."""
    output: Any = None

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.started_ns // 1000 / 1e6, UTC)

    @property
    def ended_at(self) -> datetime | None:
        return None if self.ended_ns is None else datetime.fromtimestamp(self.ended_ns // 1000 / 1e6, UTC)

    @property
    def unpriced(self) -> bool:
        """Whether this is a model call that ended and whose cost is unknown. A call that failed without usage is none."""
        return (
            self.kind in LEAF_KINDS
            and self.counted
            and self.cost_usd is None
            and self.status is not Status.RUNNING
            and (self.usage is not None or self.status is not Status.ERROR)
        )


@dataclass(slots=True, kw_only=True)
class Totals:
    """Sums over steps. Token sums and cost are over counted steps; what is unknown adds nothing and shows in `unpriced_calls`."""

    key: dict[str, str | None] = field(default_factory=dict)
    """The dimensions that these totals are of; empty for everything."""
    workflows: int = 0
    steps: int = 0
    llm_calls: int = 0
    """Model calls, each counted once, however many layers saw it."""
    tool_calls: int = 0
    failed_steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced_calls: int = 0
    estimated_calls: int = 0
    duration_ms: float = 0.0
    """The sum of the steps' own durations; nested steps overlap."""

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def add(self, step: Step) -> None:
        """Count one step in; `workflows` is the caller's to count."""
        self.steps += 1
        if step.kind is Kind.LLM:
            self.llm_calls += step.counted
        elif step.kind is Kind.TOOL:
            self.tool_calls += 1
        if step.status is Status.ERROR:
            self.failed_steps += 1
        if step.duration_ms is not None:
            self.duration_ms += step.duration_ms
        if step.counted and (usage := step.usage) is not None:
            self.input_tokens += usage.input_tokens or 0
            self.output_tokens += usage.output_tokens or 0
            self.cache_read_tokens += usage.cache_read_tokens or 0
            self.cache_write_tokens += usage.cache_write_tokens or 0
            self.reasoning_tokens += usage.reasoning_tokens or 0
            self.estimated_calls += step.estimated
        if step.counted and step.cost_usd is not None:
            self.cost_usd += step.cost_usd
        self.unpriced_calls += step.unpriced

    def merge(self, other: Totals) -> None:
        """Add another's sums to these."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_SUMS = tuple(field.name for field in fields(Totals) if field.name != "key")


@dataclass(slots=True, kw_only=True)
class Workflow:
    """A whole tree: its root's facts, its totals and, where it was asked for by id, its steps."""

    id: str
    name: str
    source: str
    status: Status
    started_ns: int
    ended_ns: int | None = None
    duration_ms: float | None = None
    error: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    steps: list[Step] = field(default_factory=list)
    """In the order of their start; empty in listings."""

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.started_ns // 1000 / 1e6, UTC)

    @property
    def ended_at(self) -> datetime | None:
        return None if self.ended_ns is None else datetime.fromtimestamp(self.ended_ns // 1000 / 1e6, UTC)

    @property
    def root(self) -> Step | None:
        """The root step; None in listings, and while only other steps of the tree are known."""
        return next((step for step in self.steps if step.parent_id is None), None)

    def children(self) -> Mapping[str | None, list[Step]]:
        """The steps by parent id, in the order of their start. Steps whose parent is not in the tree are under None."""
        known = {step.id for step in self.steps}
        by_parent: dict[str | None, list[Step]] = {}
        for step in self.steps:
            by_parent.setdefault(step.parent_id if step.parent_id in known else None, []).append(step)
        return by_parent

    def walk(self) -> Iterator[tuple[int, Step]]:
        """Every step with its depth, each parent before its children."""
        by_parent = self.children()
        stack = [(0, step) for step in reversed(by_parent.get(None, ()))]
        while stack:
            depth, step = stack.pop()
            yield depth, step
            stack.extend((depth + 1, child) for child in reversed(by_parent.get(step.id, ())))

    @classmethod
    def of(cls, id: str, steps: Iterable[Step]) -> Workflow:
        """The workflow that these steps form; `steps` must not be empty."""
        ordered = sorted(steps, key=lambda step: (step.started_ns, step.sequence, step.id))
        root = next((step for step in ordered if step.parent_id is None), None)
        totals = Totals(workflows=1)
        for step in ordered:
            totals.add(step)
        facts = root or ordered[0]
        return cls(
            id=id,
            name=facts.name,
            source=facts.source,
            status=root.status if root else Status.RUNNING,
            started_ns=facts.started_ns,
            ended_ns=root.ended_ns if root else None,
            duration_ms=root.duration_ms if root else None,
            error=root.error if root else None,
            session_id=facts.session_id,
            user_id=facts.user_id,
            tenant_id=facts.tenant_id,
            labels=dict(facts.labels),
            totals=totals,
            steps=ordered,
        )
