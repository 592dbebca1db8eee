"""Tools of an MCP server, recorded by `treerings.instrument("mcp")`: below an agent of your own.

    python examples/mcp_tools.py

Runs offline: the server is in this process. Needs mcp 1.
"""

from __future__ import annotations

import asyncio

import treerings
from mcp import ClientSession
from mcp.server.fastmcp import FastMCP
from mcp.shared.memory import create_connected_server_and_client_session as connected

server = FastMCP("weather", log_level="WARNING")


@server.tool()
def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


@server.resource("weather://stations")
def stations() -> str:
    return "Kew, Oxford"


@treerings.step("agent", "forester")
async def forester(session: ClientSession) -> str:
    """Look where it was measured, then how much."""
    await session.read_resource("weather://stations")  # type: ignore[arg-type]
    result = await session.call_tool("rainfall", {"year": 1976})
    return str(result.structuredContent)


async def main() -> None:
    treerings.instrument("mcp")
    async with connected(server) as session:
        print(await forester(session))
    print(treerings.flush())


if __name__ == "__main__":
    asyncio.run(main())
