"""The parent of a run: LangChain's word, unless it points past a step that is open here and lies inside."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from langchain_core.runnables.config import var_child_runnable_config
from treerings.claims import has_called
from treerings.context import OpenStep, innermost, step_around

from .runs import Run, Runs

__all__ = ["ambient", "find_parent", "inside"]

_leaves: ContextVar[tuple[Run, ...]] = ContextVar("treerings_langchain_leaves", default=())
"""The retriever or model that started last in this context: LangChain's variable still names the run around it.

Of a batch of `generate` all of them: it starts them all, then asks for one after the other.
"""
MAX_BATCH = 1_000


def context_run(runs: Runs) -> Run | None:
    """The open run whose code is running, by LangChain's own context variable."""
    config = var_child_runnable_config.get()
    if not config:
        return None
    run_id = getattr(config.get("callbacks"), "parent_run_id", None)
    return runs.open(run_id) if run_id is not None else None


def ambient(runs: Runs) -> OpenStep | None:
    """LangChain's enclosing open step, for steps of other sources that start inside it."""
    run = context_run(runs)
    leaves = _leaves.get()
    if leaves:
        leaf = leaves[-1] if len(leaves) == 1 else next((one for one in leaves if not has_called(one.step)), leaves[-1])
        if leaf.parent is run and not leaf.step.ended and not leaf.first_token:
            return leaf.step
    return None if run is None or run.step.ended else run.step


def inside(run: Run) -> None:
    """Say that this retriever or model started here: what it embeds and asks belongs under it.

    No end is said: that of its step counts, and a model's first token, since between two of them the consumer's code runs.
    """
    batch = _leaves.get()
    with_others = batch and batch[-1].told is run.told and not batch[-1].step.ended and len(batch) < MAX_BATCH
    _leaves.set((*batch, run) if with_others else (run,))


def find_parent(
    runs: Runs, parent_run_id: UUID | None, metadata: Mapping[str, Any]
) -> tuple[OpenStep | None, Run | None]:
    """The step to hang a new run under, and the run that it belongs to; (None, None) for a new root.

    The given parent counts, unless the running code lies in an open step inside it: fallbacks give their children the
    grandparent's id, re-passed callbacks give none, other tracers give ids that nobody here has seen.
    """
    given = runs.known(parent_run_id)
    around = context_run(runs)
    step: OpenStep | None = given.step if given is not None else None
    run = given
    if around is not None and around is not given and not around.step.ended:
        inner = innermost(step, around.step)
        if inner is around.step:
            step, run = inner, around
    if step is None and (node := runs.node(metadata.get("langgraph_checkpoint_ns"))) is not None:
        step, run = node.step, node
    other = step_around(runs.ambient)
    if other is not None and other is not step:
        inner = innermost(step, other)
        if inner is not step:
            return inner, run if run is not None and run.step.workflow_id == other.workflow_id else None
    return step, run
