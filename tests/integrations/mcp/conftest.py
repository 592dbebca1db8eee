"""A real server of the SDK in memory, a session with it, and a capture of what they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("mcp.server.fastmcp")

import treerings
from mcp.server.fastmcp import FastMCP
from treerings.testing import Capture, capture


@pytest.fixture
def server() -> FastMCP:
    """A forester's tools: one that works, one that fails, one that draws; a resource and a prompt."""
    server = FastMCP("forester", log_level="CRITICAL")

    @server.tool()
    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    @server.tool()
    def broken(tree: str) -> str:
        """Count the rings of a tree."""
        raise ValueError("too rotten")

    @server.tool()
    def ages(trees: list[str]) -> dict[str, int]:
        """How old trees are."""
        return dict.fromkeys(trees, 112)

    @server.tool(structured_output=False)
    def picture() -> Any:
        """A picture of a tree."""
        from mcp.types import ImageContent

        return [ImageContent(type="image", data="aGVsbG8h" * 200, mimeType="image/png")]

    @server.resource("trees://oak")
    def oak() -> str:
        return "An oak of 112 rings."

    @server.prompt()
    def question(tree: str) -> str:
        return f"How old is the {tree}?"

    return server


@pytest.fixture
def captured() -> Iterator[Capture]:
    """What is recorded while the integration is on."""
    treerings.instrument("mcp")
    with capture() as captured:
        yield captured
    treerings.uninstrument("mcp")
