"""What a client asks of its server is a tool step: name, arguments, result, failures."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from typing import Any

import pytest
import treerings
from mcp import ClientSession, McpError
from mcp.server.fastmcp import FastMCP
from mcp.shared.memory import create_connected_server_and_client_session as connected
from mcp.types import CallToolResult
from treerings.testing import Capture
from treerings_mcp import calls


async def test_a_tool_call_is_a_tool_step(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        result = await session.call_tool("ring_count", {"tree": "oak"})

    assert type(result) is CallToolResult
    step = captured.step("tool", "ring_count")
    assert (step.status, step.source, step.input, step.output) == ("ok", "mcp", {"tree": "oak"}, "oak: 112")
    assert step.attributes == {"mcp_method": "tools/call", "server": "forester"}


async def test_an_error_that_the_server_answers_is_the_tools_error(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        result = await session.call_tool("broken", {"tree": "oak"})

    assert result.isError
    step = captured.step("tool")
    assert (step.status, step.error_type) == ("error", "ToolError")
    assert "too rotten" in step.error
    assert "too rotten" in step.output


async def test_structured_answers_are_shown_as_models_see_them(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        await session.call_tool("ages", {"trees": ["oak"]})

    assert captured.step("tool").output == '{\n  "oak": 112\n}'


async def test_pictures_are_noted_and_not_kept(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        await session.call_tool("picture")

    step = captured.step("tool")
    assert step.input == {}
    assert step.output[0]["data"] == "<base64 1600 characters>"


async def test_resources_and_prompts_are_tool_steps(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        await session.read_resource("trees://oak")  # type: ignore[arg-type]  # as many call it
        await session.get_prompt("question", {"tree": "oak"})

    resource, prompt = captured.steps
    assert captured.outline(show=("mcp_method", "server")) == (
        "tool trees://oak mcp_method=resources/read server=forester\n\n"
        "tool question mcp_method=prompts/get server=forester"
    )
    assert (resource.input, resource.output) == ({"uri": "trees://oak"}, "An oak of 112 rings.")
    assert prompt.input == {"tree": "oak"}
    assert "How old is the oak?" in repr(prompt.output)


async def test_what_fails_in_the_protocol_is_the_steps_and_the_programs(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        with pytest.raises(McpError):
            await session.get_prompt("unknown")

    assert captured.outline() == "tool unknown error"
    assert captured.step("tool").error_type == "McpError"


async def test_a_call_that_takes_too_long_is_an_error(server: FastMCP, captured: Capture) -> None:
    @server.tool()
    async def slow() -> str:
        await asyncio.sleep(30)
        return "never"

    async with connected(server) as session:
        with pytest.raises(McpError, match=r"[Tt]imed out"):
            await session.call_tool("slow", read_timeout_seconds=timedelta(milliseconds=1))

    assert captured.outline() == "tool slow error"


async def test_a_call_that_is_cancelled_is_cancelled(server: FastMCP, captured: Capture) -> None:
    started = asyncio.Event()

    @server.tool()
    async def slow() -> str:
        started.set()
        await asyncio.sleep(30)
        return "never"

    async with connected(server) as session:
        task = asyncio.create_task(session.call_tool("slow"))
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert captured.outline() == "tool slow cancelled"


async def test_calls_hang_below_what_runs(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        with treerings.step("agent", "forester"):
            await asyncio.gather(*(session.call_tool("ring_count", {"tree": tree}) for tree in ("oak", "elm")))

    assert captured.outline() == "agent forester\n  tool ring_count\n  tool ring_count"


async def test_a_frameworks_tool_that_calls_one_is_above_it(server: FastMCP, captured: Capture) -> None:
    tools = pytest.importorskip("langchain_core.tools")
    treerings.instrument("langchain")
    async with connected(server) as session:

        async def count(tree: str) -> str:
            """Count the rings of a tree."""
            result: Any = await session.call_tool("ring_count", {"tree": tree})
            return str(result.content[0].text)

        tool = tools.StructuredTool.from_function(coroutine=count, name="count")
        assert await tool.ainvoke({"tree": "oak"}) == "oak: 112"

    treerings.uninstrument("langchain")
    assert captured.outline() == "tool count\n  tool ring_count"


async def test_a_session_that_was_open_before_is_recorded_too(server: FastMCP, captured: Capture) -> None:
    treerings.uninstrument("mcp")
    async with connected(server) as session:
        treerings.instrument("mcp")
        await session.call_tool("ring_count", {"tree": "oak"})

    assert captured.outline(show=("server",)) == "tool ring_count"


async def test_off_again_nothing_is_recorded(server: FastMCP, captured: Capture) -> None:
    wrapped = ClientSession.call_tool
    treerings.instrument("mcp")
    treerings.uninstrument("mcp")
    async with connected(server) as session:
        await session.call_tool("ring_count", {"tree": "oak"})

    assert captured.steps == []
    assert ClientSession.call_tool is wrapped.__wrapped__  # type: ignore[attr-defined]


async def test_wrong_arguments_raise_as_without_us(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        with pytest.raises(TypeError, match="name"):
            await session.call_tool()  # type: ignore[call-arg]

    assert captured.steps == []


async def test_a_thousand_calls_leave_nothing(server: FastMCP, captured: Capture) -> None:
    async with connected(server) as session:
        for _ in range(250):
            await session.call_tool("ring_count", {"tree": "oak"})
            await session.call_tool("broken", {"tree": "oak"})
            await session.read_resource("trees://oak")  # type: ignore[arg-type]
            await session.get_prompt("question", {"tree": "oak"})
    del session

    assert len(captured.steps) == 1_000
    gc.collect()
    assert [found for found in gc.get_objects() if isinstance(found, calls.ServerCall)] == []
    assert len(calls._servers) == 0


def test_the_probe_is_recorded(captured: Capture) -> None:
    from treerings_mcp.integration import probe

    probe("http://127.0.0.1:9/v1")

    assert captured.outline(show=("server",)) == "tool ring_count server=probe"
