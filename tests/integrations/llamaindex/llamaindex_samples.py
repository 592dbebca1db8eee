"""A tool, models that ask for it, and the outlines that the tests share."""

from __future__ import annotations

from collections.abc import Callable

from treerings.testing import Answer, ModelRequest, ToolCall

QUERY = """
workflow RetrieverQueryEngine
  retriever VectorIndexRetriever
    embedding OpenAIEmbedding
  chain CompactAndRefine
    llm OpenAI""".strip()
CHAT = QUERY.replace("RetrieverQueryEngine", "ContextChatEngine")


def ring_count(tree: str) -> str:
    """Count the rings of a tree."""
    if tree == "stone":
        raise ValueError("a stone has no rings")
    return f"{tree}: 112"


def asks_once(*calls: ToolCall, then: str = "112 rings.") -> Callable[[ModelRequest], Answer]:
    """A model that asks for these tools once, then answers."""

    def answer(request: ModelRequest) -> Answer:
        if request.tools and request.tool_result is None:
            return Answer(tool_calls=calls)
        return Answer(then)

    return answer
