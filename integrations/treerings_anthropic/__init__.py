"""anthropic: see the page in docs."""
