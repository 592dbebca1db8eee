"""openai: see the page in docs."""
