"""Two agents in a LangGraph graph, recorded by one call for the whole process.

    python examples/langgraph_team.py && treerings show last

Runs offline: a scripted server in this process plays the models. Needs langchain, langgraph and langchain-openai.
"""

from __future__ import annotations

import treerings
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """Say how much rain a year had."""
    return f"{year}: 410 mm"


def team(base_url: str):  # type: ignore[no-untyped-def]  # the compiled graph's type has four parameters
    """A researcher who looks things up, then a writer who answers."""

    def model(name: str) -> ChatOpenAI:
        return ChatOpenAI(model=name, base_url=base_url, api_key="unused")

    graph = StateGraph(MessagesState)
    graph.add_node("researcher", create_agent(model("gpt-5-mini"), [rainfall], name="researcher"))
    graph.add_node("writer", create_agent(model("gpt-5.2"), [], system_prompt="Answer in one line.", name="writer"))
    graph.add_edge(START, "researcher")
    graph.add_edge("researcher", "writer")
    graph.add_edge("writer", END)
    return graph.compile(name="ring report")


def main() -> None:
    treerings.instrument("langchain")
    with ModelServer() as server:
        asks = server.when(model="gpt-5-mini")
        asks.call_tool("rainfall", {"year": 1976}, usage={"input_tokens": 320, "output_tokens": 21})
        asks.say("1976 had 410 mm of rain.", usage={"input_tokens": 371, "output_tokens": 14})
        answer = {"input_tokens": 402, "output_tokens": 25}
        server.when(model="gpt-5.2").say("The ring of 1976 is narrow: the year was dry.", usage=answer)
        result = team(server.base_url).invoke({"messages": [("user", "Why is the ring of 1976 narrow?")]})
    print(result["messages"][-1].content)
    print(treerings.flush())


if __name__ == "__main__":
    main()
