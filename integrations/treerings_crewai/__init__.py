"""CrewAI, captured through its event bus."""
