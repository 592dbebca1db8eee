"""The Model Context Protocol's SDK for the whole process: every client session."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import ClientSession
from treerings.wrapping import Patches, recorded_async

from .calls import begin, remember_server

__all__ = ["instrument", "probe", "uninstrument"]

_patches = Patches()


def instrument() -> None:
    """Record what every session asks of its server, those that are open already included; a second call does nothing."""
    for name, method, named in (
        ("call_tool", "tools/call", "name"),
        ("read_resource", "resources/read", "uri"),
        ("get_prompt", "prompts/get", "name"),
    ):
        _patches.wrap(ClientSession, name, recorded_async(begin(method, named)))
    _patches.wrap(ClientSession, "initialize", remember_server)


def uninstrument() -> None:
    """Give the SDK its own methods back."""
    _patches.undo()


def probe(base_url: str) -> None:
    """Call a tool of a server in this process; no model has a part in it."""
    asyncio.run(_probe())


async def _probe() -> None:
    made, connected = _server_and_client()
    server = made("probe")

    @server.tool()  # type: ignore[untyped-decorator]
    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    async with connected(server) as session:
        await session.call_tool("ring_count", {"tree": "oak"})


def _server_and_client() -> tuple[Any, Any]:
    """What makes a server, and what connects a client with it in memory, in version 1 and in version 2."""
    try:
        from mcp.server.fastmcp import FastMCP
        from mcp.shared.memory import create_connected_server_and_client_session
    except ImportError:
        import mcp
        from mcp import server

        return vars(server)["MCPServer"], vars(mcp)["Client"]
    return FastMCP, create_connected_server_and_client_session
