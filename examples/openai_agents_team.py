"""Two agents of the OpenAI Agents SDK and a handoff, recorded without a change to them.

    python examples/openai_agents_team.py

Runs offline: a scripted server in this process plays the model, and the SDK's own exporter is taken out. Needs openai-agents.
"""

from __future__ import annotations

import treerings
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_trace_processors
from openai import AsyncOpenAI
from treerings.testing import ModelServer


@function_tool
def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


def main() -> None:
    set_trace_processors([])  # before instrument(): the SDK would send its traces to OpenAI
    treerings.instrument("openai-agents")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976}).call_tool("transfer_to_writer").say("The ring of 1976 is narrow.")
        client = AsyncOpenAI(base_url=server.base_url, api_key="unused")
        model = OpenAIChatCompletionsModel("gpt-5-mini", openai_client=client)
        writer = Agent(name="writer", model=model, instructions="Answer in one line.")
        researcher = Agent(name="researcher", model=model, tools=[rainfall], handoffs=[writer])
        print(Runner.run_sync(researcher, "Why is the ring of 1976 narrow?").final_output)
    print(treerings.flush())


if __name__ == "__main__":
    main()
