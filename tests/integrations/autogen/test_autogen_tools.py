"""Tools: errors given to the model, threads, parallel calls, workbenches, and other frameworks inside of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import treerings
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from autogen_core.tools import (
    BaseTool,
    FunctionTool,
    StaticWorkbench,
    TextResultContent,
    ToolResult,
    ToolSchema,
    Workbench,
)
from pydantic import BaseModel
from treerings.testing import Capture, ModelServer, ToolCall

LLM = "llm OpenAIChatCompletionClient"


def run(client: Any, *tools: Any, **options: Any) -> Any:
    return asyncio.run(AssistantAgent("ann", client, tools=list(tools) or None, **options).run(task="How old?"))


def inner_sync() -> str:
    """Work."""
    with treerings.step("chain", "inner"):
        return "done"


async def inner_async() -> str:
    """Work."""
    with treerings.step("chain", "inner"):
        return "done"


def inner_cancellable(cancellation_token: CancellationToken) -> str:
    """Work."""
    with treerings.step("chain", "inner"):
        return "done"


@pytest.mark.parametrize("tool", [inner_sync, inner_async, inner_cancellable])
def test_a_step_inside_a_tool_is_below_it_in_threads_too(
    server: ModelServer, client: Callable[..., Any], captured: Capture, tool: Callable[..., Any]
) -> None:
    """A10: synchronous functions run in an executor without the context."""
    server.call_tool(tool.__name__)

    result = run(client(), tool)

    assert result.messages[-1].content == "done"
    assert captured.outline() == f"agent ann\n  {LLM}\n  tool {tool.__name__}\n    chain inner"


def test_a_thread_of_the_executor_forgets_the_step(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.call_tool("inner_sync")

    async def go() -> None:
        await AssistantAgent("ann", client(), tools=[inner_sync]).run(task="How old?")
        await asyncio.get_running_loop().run_in_executor(None, inner_sync)

    asyncio.run(go())

    assert [workflow.name for workflow in captured.workflows] == ["ann", "inner"]


def test_a_langchain_run_in_a_tool_is_below_it(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    runnables = pytest.importorskip("langchain_core.runnables")
    from treerings_langchain import CallbackHandler

    def chain() -> str:
        """Work."""
        return str(
            runnables.RunnableLambda(lambda x: "done", name="inner").invoke(1, {"callbacks": [CallbackHandler()]})
        )

    server.call_tool("chain")

    run(client(), chain)

    assert captured.outline() == f"agent ann\n  {LLM}\n  tool chain\n    chain inner"
    assert captured.step("chain").source == "langchain"


def test_a_tool_that_fails_is_an_error_and_its_agent_is_not(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A9: nothing is logged of a tool that fails."""

    def saw() -> str:
        """Cut."""
        raise OSError("blunt")

    server.call_tool("saw").say("It is blunt.")

    run(client(), saw, reflect_on_tool_use=True)

    assert captured.outline() == f"agent ann\n  {LLM}\n  tool saw error\n  {LLM}"
    tool = captured.step("tool")
    assert (tool.error_type, tool.error) == ("OSError", "blunt")


def test_arguments_that_do_not_fit_are_the_tools_error(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    def saw(depth: int) -> str:
        """Cut."""
        return "cut"

    server.call_tool("saw", {"depth": "deep"})

    run(client(), saw)

    assert captured.outline() == f"agent ann\n  {LLM}\n  tool saw error"
    assert captured.step("tool").error_type == "ValidationError"


@pytest.mark.parametrize("call", [ToolCall("nothing", {}), ToolCall("inner_async", "{not json")])
def test_a_call_that_reaches_no_tool_is_a_failed_tool(
    server: ModelServer, client: Callable[..., Any], captured: Capture, call: ToolCall
) -> None:
    server.call_tools([call])

    run(client(), inner_async)

    assert captured.outline() == f"agent ann\n  {LLM}\n  tool {call.name} error"
    tool = captured.step("tool")
    assert tool.attributes["called_by"] == captured.step("llm").id


def test_parallel_calls_of_one_tool_are_siblings_with_their_own_steps(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    def measure(tree: str) -> str:
        """Measure."""
        with treerings.step("chain", f"inner {tree}"):
            return tree

    server.call_tools([("measure", {"tree": tree}) for tree in ("oak", "elm", "ash")])

    run(client(), measure)

    steps = {step.id: step for step in captured.steps}
    inner = [step for step in steps.values() if step.kind == "chain"]
    assert sorted(f"{steps[step.parent_id].input['tree']} {step.name}" for step in inner if step.parent_id) == [
        "ash inner ash",
        "elm inner elm",
        "oak inner oak",
    ]
    assert {steps[step.parent_id].parent_id for step in inner if step.parent_id} == {captured.step("agent").id}


class Depth(BaseModel):
    depth: int


class Saw(BaseTool[Depth, Depth]):
    """A tool with its own `run_json`, by `super()`."""

    def __init__(self) -> None:
        super().__init__(Depth, Depth, "saw", "Cut.")

    async def run(self, args: Depth, cancellation_token: CancellationToken) -> Depth:
        return Depth(depth=args.depth + 1)

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> Any:
        return await super().run_json(args, cancellation_token, call_id)


def test_a_tools_inherited_method_is_the_same_call(captured: Capture) -> None:
    result = asyncio.run(Saw().run_json({"depth": 1}, CancellationToken()))

    assert result == Depth(depth=2)
    assert captured.outline() == "tool saw"
    assert captured.step("tool").output == {"depth": 2}


def test_the_tools_of_a_static_workbench_are_recorded_once(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.call_tool("saw", {"depth": 1})

    asyncio.run(AssistantAgent("ann", client(), workbench=StaticWorkbench([Saw()])).run(task="Cut"))

    assert captured.outline() == f"agent ann\n  {LLM}\n  tool saw"


class Bench(Workbench):
    """A workbench like that of MCP: it runs its tools elsewhere."""

    component_type = "workbench"

    def __init__(self, *, fails: bool = False, inside: Any = None) -> None:
        self.fails = fails
        self.inside = inside

    async def list_tools(self) -> list[ToolSchema]:
        return [{"name": "saw", "description": "Cut."}]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        if self.inside is not None:
            await self.inside.run_json(arguments, CancellationToken(), call_id)
        return ToolResult(name=name, result=[TextResultContent(content="done")], is_error=self.fails)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reset(self) -> None: ...

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


@pytest.mark.parametrize(("bench", "status"), [(Bench(), ""), (Bench(fails=True), " error"), (Bench(inside=Saw()), "")])
def test_the_tools_of_any_other_workbench_are_recorded_once(
    server: ModelServer, client: Callable[..., Any], captured: Capture, bench: Bench, status: str
) -> None:
    server.call_tool("saw", {"depth": 1})

    asyncio.run(AssistantAgent("ann", client(), workbench=bench).run(task="Cut"))

    assert captured.outline() == f"agent ann\n  {LLM}\n  tool saw{status}"


def test_a_function_tool_is_itself_in_every_other_way(captured: Capture) -> None:
    tool = FunctionTool(inner_sync, description="Work.")

    assert tool._func is inner_sync
    assert asyncio.run(tool.run_json({}, CancellationToken())) == "done"
    assert tool._func is inner_sync
    assert FunctionTool.load_component(tool.dump_component()).name == "inner_sync"
