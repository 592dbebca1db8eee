"""A Pydantic AI agent with one tool and a typed answer, recorded without a change to it.

    python examples/pydantic_ai_agent.py

Runs offline: a scripted server in this process plays the model. Needs pydantic-ai-slim[openai].
"""

from __future__ import annotations

import treerings
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from treerings.testing import ModelServer


class Year(BaseModel):
    year: int
    dry: bool


def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


def main() -> None:
    treerings.instrument("pydantic-ai")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976}).call_tool("final_result", {"year": 1976, "dry": True})
        model = OpenAIChatModel("gpt-5-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="unused"))
        agent = Agent(model, name="forester", tools=[rainfall], output_type=Year)
        print(agent.run_sync("Was 1976 a dry year?").output)
    print(treerings.flush())


if __name__ == "__main__":
    main()
