"""One cell of the matrix: an agent of one framework whose tool runs an agent of another; what must be true of its tree."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import importlib.util
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import treerings
from treerings.testing import Answer, Capture, ModelRequest, ModelServer, ToolCall

if TYPE_CHECKING:
    from treerings import Step, Workflow

Tool = Callable[[str], str]
AsyncTool = Callable[[str], Awaitable[str]]

OUTER_MODEL, INNER_MODEL = "gpt-4o-mini", "gpt-4o"
WITHOUT_TOOLS = {OUTER_MODEL: "outer-oak", INNER_MODEL: "inner-oak"}
"""What the two are called where LiteLLM must not know that they take tools: it fails on those beside mcp 1."""
OUTER_TOOL, INNER_TOOL = "ask_colleague", "count_rings"

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
}


class Block(Protocol):
    """A framework in the matrix: runs an agent with one tool."""

    NAME: str
    INTEGRATION: str | None
    """What `treerings.instrument` calls it; None for own steps."""

    def run(self, base_url: str, model: str, tool: Tool, question: str) -> str: ...
    async def run_async(self, base_url: str, model: str, tool: AsyncTool, question: str) -> str: ...


BLOCKS = {
    "langchain": ("langchain", "langchain_openai"),
    "crewai": ("crewai",),
    "autogen": ("autogen_agentchat", "autogen_ext"),
    "llamaindex": ("llama_index.core", "llama_index.llms.openai"),
    "own": ("openai",),
    "crewai_litellm": ("crewai", "litellm"),
    "own_litellm": ("litellm",),
}
"""The frameworks by the name of their module, each with the packages that it needs."""

SDKS: tuple[tuple[str, ...], ...] = ((), ("openai",), ("litellm",), ("openai", "litellm"))
"""The integrations of model SDKs that capture beside the frameworks'."""

LOOP_RUNS = "its plain tools run on the event loop's thread, where no other loop can run"
IMPOSSIBLE: dict[tuple[str, str], str] = {}
"""Synchronous cells (outer, inner) that no program can have, with the reason."""


def load(name: str) -> Block | None:
    """The framework's module; None when a package that it needs is missing."""
    os.environ.update(QUIET)
    try:
        if all(importlib.util.find_spec(package) is not None for package in BLOCKS[name]):
            block: Any = importlib.import_module(f"matrix_{name}")
            return block  # type: ignore[no-any-return]
    except ModuleNotFoundError:  # the package around it
        pass
    return None


def answer(request: ModelRequest) -> Answer:
    """The model: calls the tool that it is offered, then answers."""
    done = "Thought: I know.\nFinal Answer: The oak has 112 rings."
    if "Action Input" in request.text:  # a prompt that describes the tools in words
        (name,) = {*re.findall(r"Tool Name: (\w+)", request.text)}
        observed = re.search(r"^Observation:(?! the result)", request.text, re.MULTILINE)
        call = f'Thought: I ask.\nAction: {name}\nAction Input: {{"question": "How old is the oak?"}}'
        return Answer(done if observed else call)
    if not request.tools or any(turn.role == "tool" for turn in request.turns):
        return Answer(done)
    return Answer(tool_calls=[ToolCall(request.tools[0], {"question": "How old is the oak?"})])


@contextmanager
def instrumented(blocks: Sequence[Block], sdks: Sequence[str]) -> Iterator[None]:
    """Capture these frameworks and SDKs and nothing else."""
    names = {block.INTEGRATION for block in blocks if block.INTEGRATION} | set(sdks)
    treerings.uninstrument()
    if names:
        treerings.instrument(*sorted(names))
    try:
        yield
    finally:
        treerings.uninstrument()


def run_cell(outer: Block, inner: Block, base_url: str, runner: asyncio.Runner | None = None) -> str:
    """Run the outer framework's agent, whose tool runs the inner one's: on the runner's loop, or without any.

    One loop serves all cells: clients that frameworks keep for later hold connections of the loop they were made in.
    """

    def count_rings(question: str) -> str:
        """Count the rings of a tree."""
        return "oak: 112"

    async def count_rings_async(question: str) -> str:
        """Count the rings of a tree."""
        await asyncio.sleep(0)
        return "oak: 112"

    def ask_colleague(question: str) -> str:
        """Ask a colleague who knows trees."""
        return inner.run(base_url, INNER_MODEL, count_rings, question)

    async def ask_colleague_async(question: str) -> str:
        """Ask a colleague who knows trees."""
        return await inner.run_async(base_url, INNER_MODEL, count_rings_async, question)

    count_rings_async.__name__, ask_colleague_async.__name__ = INNER_TOOL, OUTER_TOOL
    if runner is not None:
        question = "How old is the oak?"
        coroutine = outer.run_async(base_url, OUTER_MODEL, ask_colleague_async, question)
        return runner.run(coroutine, context=contextvars.copy_context())
    return outer.run(base_url, OUTER_MODEL, ask_colleague, "How old is the oak?")


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a cell's tree; nothing, when it is right."""

    faults: tuple[str, ...]
    shown: str

    def __bool__(self) -> bool:
        return not self.faults


def judge(captured: Capture, served: ModelServer, before: Any) -> Verdict:
    """Look at what was captured since `before`, which was the server's usage then."""
    workflows = captured.workflows
    faults: list[str] = []
    if len(workflows) != 1:
        faults.append(f"{len(workflows)} workflows instead of one")
    faults += [fault for workflow in workflows for fault in _misplaced(workflow)]
    now = served.usage_served
    calls = sum(workflow.totals.llm_calls for workflow in workflows)
    tokens = sum(workflow.totals.total_tokens for workflow in workflows)
    if calls != now.calls - before.calls:
        faults.append(f"{calls} model calls counted of {now.calls - before.calls}")
    if tokens != now.total_tokens - before.total_tokens:
        faults.append(f"{tokens} tokens of {now.total_tokens - before.total_tokens}")
    faults += [
        f"{step.kind} {step.name!r} is {step.status}"
        for workflow in workflows
        for step in workflow.steps
        if step.status != "ok"
    ]
    return Verdict(tuple(faults), captured.outline(show=("source", "model", "counted", "input_tokens"), hidden=True))


def _misplaced(workflow: Workflow) -> Iterator[str]:
    """Roots beside the root; inner steps that are not below the outer's tool, outer ones that are."""
    by_id = {step.id: step for step in workflow.steps}

    def above(step: Step) -> Iterator[Step]:
        while (parent := by_id.get(step.parent_id or "")) is not None:
            yield parent
            step = parent

    if roots := [step.name for step in workflow.steps if step.parent_id not in by_id][1:]:
        yield f"further roots: {', '.join(roots)}"
    for step in workflow.steps:
        below_tool = any(parent.kind == "tool" and parent.name == OUTER_TOOL for parent in above(step))
        is_inner = step.name == INNER_TOOL or (step.kind == "llm" and _is(step, INNER_MODEL))
        is_outer = step.name == OUTER_TOOL or (step.kind == "llm" and _is(step, OUTER_MODEL))
        if (is_inner and not below_tool) or (is_outer and below_tool):
            yield f"{step.kind} {step.name!r} ({step.source}) is misplaced"
    for name in (OUTER_TOOL, INNER_TOOL):
        tools = [step for step in workflow.steps if step.kind == "tool" and step.name == name]
        if len(tools) != 1:
            yield f"{len(tools)} tool steps {name!r}"
        below = [step.name for tool in tools for step in workflow.children().get(tool.id, ())]
        if len(below) != (name == OUTER_TOOL):
            yield f"directly below the tool {name!r}: {', '.join(below) or 'nothing'}"


def _is(step: Step, model: str) -> bool:
    return (step.model or "").rpartition("/")[2] in {model, WITHOUT_TOOLS[model]}
