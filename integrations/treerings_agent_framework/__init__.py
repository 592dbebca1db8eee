"""agent-framework: see the page in docs."""
