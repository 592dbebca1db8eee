"""A query engine and an agent that asks it: LlamaIndex recorded by one call, nothing changed in its code.

    python examples/llamaindex_query_and_agent.py

Runs offline: a scripted server in this process plays the models. Needs llama-index-core, llama-index-llms-openai and
llama-index-embeddings-openai.
"""

from __future__ import annotations

import asyncio

import treerings
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import QueryEngineTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from treerings.testing import Answer, ModelRequest, ModelServer, ToolCall

TREES = ["Oaks grow a ring every year, wide after rain.", "Firs keep their needles all winter."]


def model(request: ModelRequest) -> Answer:
    """Asks the notes once, then answers."""
    if request.tools and request.tool_result is None:
        return Answer(tool_calls=[ToolCall("notes", {"input": "What makes a ring wide?"})])
    return Answer("Rain.")


async def ask(base_url: str) -> str:
    llm = OpenAI(model="gpt-4o-mini", api_base=base_url, api_key="unused")
    embeddings = OpenAIEmbedding(model="text-embedding-3-small", api_base=base_url, api_key="unused")
    index = VectorStoreIndex([], embed_model=embeddings)
    for text in TREES:
        index.insert(Document(text=text))
    notes = QueryEngineTool.from_defaults(
        index.as_query_engine(llm=llm), name="notes", description="Notes about trees."
    )
    agent = FunctionAgent(name="forester", tools=[notes], llm=llm, streaming=False)
    return str(await agent.run("What makes a ring wide?"))


def main() -> None:
    treerings.instrument("llamaindex")
    with ModelServer(default=model) as server:
        print(asyncio.run(ask(server.base_url)))
    print(treerings.flush())


if __name__ == "__main__":
    main()
