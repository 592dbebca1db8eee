"""A server of one tool, for a client that starts it as a process and talks with it through a pipe."""

from __future__ import annotations

from mcp.server.fastmcp import FastMCP

server = FastMCP("forester", log_level="CRITICAL")


@server.tool()
def ring_count(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


if __name__ == "__main__":
    server.run()
