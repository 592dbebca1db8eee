"""An agent of Google's Agent Development Kit with one tool, recorded by a plugin.

    python examples/google_adk_agent.py

Runs offline: a scripted server in this process plays the model. Needs google-adk and litellm.
"""

from __future__ import annotations

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import treerings
from google.adk.agents import LlmAgent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


async def ask(base_url: str) -> None:
    """Ask an agent and print its last word."""
    # without the last argument LiteLLM looks for an MCP gateway, for which it needs a package of its own
    model = LiteLlm("openai/gpt-5-mini", api_base=base_url, api_key="unused", _skip_mcp_handler=True)
    runner = InMemoryRunner(LlmAgent(name="forester", model=model, tools=[rainfall]), app_name="weather")
    events = await runner.run_debug("Was 1976 a dry year?", quiet=True)
    print(events[-1].content.parts[0].text)


def main() -> None:
    treerings.instrument("google-adk")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976}).say("Yes, 1976 was dry.")
        asyncio.run(ask(server.base_url))
    print(treerings.flush())


if __name__ == "__main__":
    main()
