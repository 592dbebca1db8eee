"""smolagents: see the page in docs."""
