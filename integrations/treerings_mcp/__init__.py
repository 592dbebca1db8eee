"""The Model Context Protocol's SDK: what a client asks of its servers becomes steps, `treerings.instrument("mcp")`."""
