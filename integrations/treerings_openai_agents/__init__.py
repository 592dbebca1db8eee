"""openai-agents: see the page in docs."""
