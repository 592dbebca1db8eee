"""What a type checker knows of the public names; checked by mypy, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import assert_type

import treerings
from treerings import FlushReport, Step, Store, Totals, Workflow
from treerings.testing import Capture, ModelServer, capture, outline


@treerings.step
def bare(tree: str) -> int:
    return len(tree)


@treerings.step("tool", "measure")
def named(tree: str, *, twice: bool = False) -> int:
    return len(tree)


@treerings.step("chain")
def items(count: int) -> Iterator[int]:
    yield from range(count)


@treerings.step("chain")
async def items_async(count: int) -> AsyncIterator[int]:
    yield count


@treerings.step("task")
async def waiting() -> str:
    return "done"


async def decorated_functions_keep_their_types() -> None:
    assert_type(bare("oak"), int)
    assert_type(named("oak", twice=True), int)
    assert_type(items(3), Iterator[int])
    assert_type(await waiting(), str)
    async for item in items_async(3):
        assert_type(item, int)
    bare(1)  # type: ignore[arg-type]  # the wrong type is still wrong
    named("oak", thrice=True)  # type: ignore[call-arg]  # so is an unknown argument


def contexts_and_carried_functions_have_types() -> None:
    with treerings.labels(session_id="s-41", team="growth"), treerings.step("task", "plan") as plan:
        plan.set(output={"a": 1}, note="own attribute")
        assert_type(plan.id, str | None)
    carried: Callable[[str], int] = treerings.carry(bare)
    assert_type(carried("oak"), int)


def what_stores_answer_has_types(store: Store) -> None:
    workflow = store.workflow("0" * 32)
    assert_type(workflow, Workflow | None)
    assert_type(store.totals(["agent"])[0], Totals)
    assert_type(store.totals()[0].cost_usd, Decimal)
    if workflow is not None:
        assert_type(workflow.steps, list[Step])
        assert_type(outline(workflow), str)


def captures_and_servers_have_types() -> None:
    with capture(content="full") as captured, ModelServer() as server:
        assert_type(captured, Capture)
        assert_type(captured.flush(), FlushReport)
        assert_type(server.say("yes").call_tool("measure", {"tree": "oak"}), ModelServer)
    assert_type(treerings.flush(timeout=1), FlushReport)
