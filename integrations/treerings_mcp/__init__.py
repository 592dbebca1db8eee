"""mcp: see the page in docs."""
