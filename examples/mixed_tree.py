"""Three frameworks inside of each other, one tree: a LangGraph supervisor, whose tool runs a crew, whose tool asks an index.

    python examples/mixed_tree.py

Runs offline: a scripted server in this process plays the models. Needs langchain, langchain-openai, crewai, llama-index-core,
llama-index-llms-openai and llama-index-embeddings-openai.
"""

from __future__ import annotations

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

import treerings
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from treerings.testing import ModelServer, outline

NOTES = ["1976: 410 mm of rain, the driest year of the century.", "1977: 720 mm of rain."]


def ask_the_notes(base_url: str, question: str) -> str:
    """LlamaIndex: the notes that are near the question, and what a model makes of them."""
    embeddings = OpenAIEmbedding(model="text-embedding-3-small", api_base=base_url, api_key="unused")
    index = VectorStoreIndex([], embed_model=embeddings)
    for text in NOTES:
        index.insert(Document(text=text))
    return str(index.as_query_engine(llm=OpenAI(model="gpt-4o", api_base=base_url, api_key="unused")).query(question))


def run_the_crew(base_url: str, question: str) -> str:
    """CrewAI: a researcher with one task."""

    @tool
    def weather_notes(question: str) -> str:
        """Look into the notes on the weather."""
        return ask_the_notes(base_url, question)

    llm = LLM(model="openai/gpt-4o-mini", base_url=base_url, api_key="unused")
    researcher = Agent(role="researcher", goal="Know.", backstory="A forester.", llm=llm, tools=[weather_notes])
    task = Task(name="look up", description=question, expected_output="A line.", agent=researcher)
    return str(Crew(name="archive", agents=[researcher], tasks=[task]).kickoff())


def supervise(base_url: str) -> str:
    """LangGraph: a supervisor that has others work."""

    def commission(question: str) -> str:
        """Have the archive's crew look something up."""
        return run_the_crew(base_url, question)

    model = ChatOpenAI(model="gpt-5-mini", base_url=base_url, api_key="unused")
    supervisor = create_agent(model, [commission], name="supervisor")
    return str(supervisor.invoke({"messages": [("user", "Why is the ring of 1976 narrow?")]})["messages"][-1].content)


def main() -> None:
    treerings.instrument("langchain", "crewai", "llamaindex", "openai")
    with ModelServer() as server:
        asks = server.when(model="gpt-5-mini")
        asks.call_tool("commission", {"question": "How much did it rain in 1976?"}).say("It was dry: 410 mm of rain.")
        asks = server.when(model="gpt-4o-mini")
        asks.call_tool("weather_notes", {"question": "rain of 1976"}).say("410 mm, the driest year of the century.")
        server.when(model="gpt-4o").say("410 mm.")
        print(supervise(server.base_url), "\n")
    report = treerings.flush()

    store = treerings.open_store()
    workflow = store.workflow(store.workflows()[0].id)
    assert workflow is not None
    print(outline(workflow, show=("source", "model")), "\n")
    for totals in store.totals(by=["source"]):
        source, tokens = totals.key["source"], totals.total_tokens
        print(f"{source:<10} {totals.steps:>3} steps {totals.llm_calls} model calls {tokens:>4} tokens")
    store.close()
    print("\n" + str(report))


if __name__ == "__main__":
    main()
