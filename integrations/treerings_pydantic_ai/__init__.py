"""pydantic-ai: see the page in docs."""
