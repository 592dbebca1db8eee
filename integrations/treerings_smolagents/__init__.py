"""smolagents: its agents, model calls, tools and code as trees of steps."""
