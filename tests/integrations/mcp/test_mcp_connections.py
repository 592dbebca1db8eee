"""A call is recorded the same, whatever a server is connected by: a pipe to a process of its own, HTTP."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import treerings
import uvicorn
from mcp import ClientSession, StdioServerParameters
from mcp.client import streamable_http
from mcp.client.stdio import stdio_client
from mcp.server.fastmcp import FastMCP
from treerings.testing import Capture

TREE = """\
agent forester
  tool ring_count mcp_method=tools/call server=forester"""
by_http = (
    getattr(streamable_http, "streamable_http_client", None) or streamable_http.streamablehttp_client
)  # its older name
SERVER = str(Path(__file__).with_name("forester_server.py"))


async def ask(session: ClientSession, captured: Capture) -> None:
    await session.initialize()
    with treerings.step("agent", "forester"):
        result = await session.call_tool("ring_count", {"tree": "oak"})
    assert result.isError is False
    assert captured.outline(show=("mcp_method", "server")) == TREE
    assert captured.step("tool").output == "oak: 112"


async def test_a_server_of_its_own_process_is_recorded_through_the_pipe(captured: Capture) -> None:
    server = StdioServerParameters(command=sys.executable, args=[SERVER])
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await ask(session, captured)


@pytest.fixture
def address(server: FastMCP) -> Iterator[str]:
    """The server of the other tests, listening on a port that was free."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        web = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="critical"))
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]}, daemon=True)
        listening.listen()  # from here on who connects waits until the server is up
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        web.should_exit = True
        thread.join(timeout=10)


async def test_a_server_by_http_is_recorded(address: str, captured: Capture) -> None:
    async with (
        by_http(address) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await ask(session, captured)
