"""What a store promises, and the questions that it answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from .errors import UnknownName
from .records import Step, Totals, Workflow

__all__ = ["DIMENSIONS", "Filter", "Store", "check_dimensions", "parse_time"]

DIMENSIONS = (
    "agent",
    "day",
    "hour",
    "kind",
    "model",
    "name",
    "provider",
    "session_id",
    "source",
    "status",
    "tenant_id",
    "user_id",
    "workflow_id",
)
"""What totals can be taken by, besides `label:KEY` for any label. `day` and `hour` are UTC: 2026-11-21, 2026-11-21T09."""


@dataclass(slots=True, kw_only=True)
class Filter:
    """Which steps or workflows to look at; every given field must match, None means any.

    In `Store.workflows`, `since`, `until`, `status`, `name`, `source`, the dimensions and labels are those of the
    workflow (its root step); `kind`, `agent`, `model` and `provider` ask for workflows with at least one such step. In
    `Store.totals` and `Store.delete` all fields are the step's own. `since` is inclusive, `until` exclusive.
    """

    since: datetime | None = None
    until: datetime | None = None
    workflow_id: str | None = None
    """A whole id or the beginning of one."""
    kind: str | None = None
    name: str | None = None
    source: str | None = None
    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    status: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    limit: int | None = None
    """At most so many workflows, the newest first; totals ignore it."""
    offset: int = 0


@runtime_checkable
class Store(Protocol):
    """Where trees are kept. `treerings.testing.StoreTests` shows whether an implementation is right.

    Methods raise `StoreError` with the reason when the store cannot do its work; nothing else. `write` is called by one
    thread at a time, the reading methods may be called from any.
    """

    url: str

    def write(self, steps: Sequence[Step]) -> None:
        """Insert or replace these steps by id, in one transaction: all or nothing, and twice is once.

        A step whose `input` or `output` is None leaves the payload that is already stored.
        """

    def workflow(self, id: str) -> Workflow | None:
        """The tree with this id, its steps in the order of their start; None if there is none."""

    def workflows(self, filter: Filter | None = None) -> list[Workflow]:
        """The matching workflows without their steps, the newest first."""

    def totals(self, by: Sequence[str] = (), filter: Filter | None = None) -> list[Totals]:
        """Sums over the matching steps, one entry a combination of the dimensions `by`, the most expensive first.

        With no dimension it is one entry, also over nothing. Raises `UnknownName` for an unknown dimension.
        """

    def delete(self, filter: Filter) -> int:
        """Delete the workflows with at least one matching step, whole; the number of steps that are gone."""

    def close(self) -> None:
        """Release files and connections; a second call does nothing."""


def check_dimensions(by: Sequence[str]) -> list[str]:
    """The dimensions, each once; raises `UnknownName` that lists what exists."""
    for name in by:
        if name not in DIMENSIONS and not (name.startswith("label:") and len(name) > 6):
            raise UnknownName(f"No dimension {name!r}. Choose from: {', '.join(DIMENSIONS)}, label:KEY.")
    return list(dict.fromkeys(by))


_AGE = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_time(text: str, *, now: datetime | None = None) -> datetime:
    """A time from an age such as `90m`, `24h`, `7d`, `2w`, or from an ISO date or time (UTC unless it says otherwise).

    Raises `ValueError` that shows what can be typed.
    """
    text = text.strip()
    if match := _AGE.fullmatch(text):
        return (now or datetime.now(UTC)) - timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time. Type an age (90m, 24h, 7d) or a date (2026-11-21).") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
