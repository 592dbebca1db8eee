"""The rules of one house, as a Treerings plugin: a whole plugin is one module with marked functions.

- Steps that take long are marked (`slow` in their attributes), counted, and listed by `treerings slow`.
- A workflow that makes too many model calls is stopped.
- The house's own model, `house-...`, has its own way to count tokens and its own price.

Settings: HOUSE_SLOW_MS (1000) and HOUSE_MAX_CALLS (50).
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from treerings import Filter, Kind, Recorder, Step, StepStarted, StopWorkflow, Workflow, hookimpl, open_store
from treerings.store import parse_time

if TYPE_CHECKING:
    import click
    from treerings.prices import Price

logger = logging.getLogger("treerings_house_rules")

SLOW_MS = float(os.environ.get("HOUSE_SLOW_MS", "1000"))
MAX_CALLS = int(os.environ.get("HOUSE_MAX_CALLS", "50"))
KILOWATT_HOUR_USD = Decimal("0.30")
TOKENS_PER_KILOWATT_HOUR = 2_000_000
WATCHED = 1_000
"""Workflows whose calls are counted at a time; the oldest is forgotten when there are more."""

_calls: dict[str, int] = {}
_lock = threading.Lock()
_slow: Counter[str] = Counter()


@hookimpl
def startup(recorder: Recorder) -> None:
    """Begin at zero: a forked child is told again and must not go on with its parent's numbers."""
    _calls.clear()
    _slow.clear()
    logger.info("At most %d model calls a workflow; slow is %g ms and more.", MAX_CALLS, SLOW_MS)


# -- slow steps -------------------------------------------------------------------------------------------------------


@hookimpl
def register_processors(register: Callable[[str, Callable[[Step], None]], None]) -> None:
    register("house-slow", mark_slow)


def mark_slow(step: Step) -> None:
    """Note on the step itself, before it is stored, that it was slow."""
    if step.duration_ms is not None and step.duration_ms >= SLOW_MS:
        step.attributes = {**step.attributes, "slow": True}


@hookimpl
def steps_recorded(steps: Sequence[Step]) -> None:
    """Count the slow model and tool calls."""
    for step in steps:
        if step.attributes.get("slow") and step.kind in (Kind.LLM, Kind.TOOL):
            _slow[f"{step.kind} {step.name}"] += 1


@hookimpl
def workflow_finished(workflow: Workflow) -> None:
    """Warn of slow workflows, and forget how many calls this one made."""
    with _lock:
        _calls.pop(workflow.id, None)
    if workflow.duration_ms is not None and workflow.duration_ms >= SLOW_MS:
        logger.warning("%s took %.0f ms in %d steps.", workflow.name, workflow.duration_ms, workflow.totals.steps)


@hookimpl
def shutdown(recorder: Recorder) -> None:
    """Say at the end what was slow."""
    for name, count in _slow.most_common(5):
        logger.warning("Slow %d times: %s", count, name)


# -- a limit ----------------------------------------------------------------------------------------------------------


@hookimpl
def step_starting(step: StepStarted) -> None:
    """Stop a workflow at its first model call too many. Runs on the thread that makes the call: be quick."""
    if step.kind is not Kind.LLM:
        return
    with _lock:
        count = _calls[step.workflow_id] = _calls.get(step.workflow_id, 0) + 1
        if len(_calls) > WATCHED:
            del _calls[next(iter(_calls))]
    if count > MAX_CALLS:
        raise StopWorkflow(f"The house allows {MAX_CALLS} model calls in a workflow; {step.name} would be one more.")


# -- the house's own model --------------------------------------------------------------------------------------------


@hookimpl
def count_tokens(model: str | None, text: str) -> int | None:
    """The house's model reads three bytes at a time."""
    if model is None or not model.startswith("house-"):
        return None
    return -(-len(text.encode()) // 3)


@hookimpl
def price_usage(step: Step) -> Price | None:
    """The house pays for electricity only."""
    if step.model is None or not step.model.startswith("house-") or step.usage is None:
        return None
    from treerings.prices import Price

    tokens = step.usage.total_tokens
    if tokens is None:
        return None
    cost = KILOWATT_HOUR_USD * tokens / TOKENS_PER_KILOWATT_HOUR
    return Price(cost, source="user", source_version="house rules 1.0.0", rule="house/electricity")


# -- a command --------------------------------------------------------------------------------------------------------


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `treerings slow`."""
    import click

    @cli.command()
    @click.option("--since", default="7d", show_default=True, help="An age (90m, 24h, 7d) or a date.")
    def slow(since: str) -> None:
        """List the slowest steps."""
        for line in slowest(since):
            click.echo(line)


def slowest(since: str, most: int = 10) -> list[str]:
    """The slowest model and tool calls of the latest 100 workflows, a line each."""
    store: Any = open_store()
    try:
        found: list[Step] = []
        for listed in store.workflows(Filter(since=parse_time(since), limit=100)):
            workflow = store.workflow(listed.id)
            found += [step for step in workflow.steps if step.attributes.get("slow")]
        found.sort(key=lambda step: step.duration_ms or 0, reverse=True)
        return [f"{step.duration_ms:,.0f} ms  {step.kind} {step.name}  {step.workflow_id}" for step in found[:most]]
    finally:
        store.close()
