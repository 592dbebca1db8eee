"""Memory and knowledge: what is looked up and saved, and the model calls for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from treerings.testing import Answer, Capture, ModelServer

pytest.importorskip("lancedb")


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text) % 7), 1.0, 0.5, 0.25] for text in texts]


def analysed(request: Any) -> Answer:
    """Answers of whatever shape CrewAI's memory asks for."""
    schema = str(request.data.get("response_format") or request.data.get("tools") or "")
    if "memories" in schema:
        return Answer('{"memories": ["The oak has 112 rings."]}')
    if "suggested_scope" in schema:
        return Answer(
            '{"suggested_scope": "/trees", "categories": ["trees"], "importance": 0.5,'
            ' "extracted_metadata": {"entities": [], "dates": [], "topics": []}}'
        )
    return Answer("112 rings.")


def test_a_crew_with_memory_is_one_tree_with_what_it_looked_up_and_saved(
    server: ModelServer, agent: Callable[..., Agent], model: Callable[..., Any], captured: Capture, tmp_path: Any
) -> None:
    from crewai.memory.unified_memory import Memory

    server.reply(analysed, times=None)
    worker = agent()
    memory = Memory(llm=model(), embedder=embed, storage=str(tmp_path / "memory"))
    task = Task(description="Count.", expected_output="A number.", agent=worker)

    Crew(agents=[worker], tasks=[task], memory=memory).kickoff()
    memory.drain_writes()

    workflow = captured.workflow
    assert workflow.totals.llm_calls == len(server.requests)
    assert workflow.totals.input_tokens == server.usage_served.input_tokens
    names = {(str(step.kind), step.name) for step in workflow.steps if not step.attributes.get("hidden")}
    assert {("retriever", "memory retrieval"), ("memory", "memory save")} <= names
    assert not {name for _, name in names if "Flow" in name}


def test_a_memory_used_by_hand_is_recorded_on_its_own(
    server: ModelServer, model: Callable[..., Any], captured: Capture, tmp_path: Any
) -> None:
    from crewai.memory.unified_memory import Memory

    server.reply(analysed, times=None)
    memory = Memory(llm=model(), embedder=embed, storage=str(tmp_path / "memory"))

    memory.remember("The oak has 112 rings.", scope="/trees", categories=["trees"], importance=0.5)
    memory.recall("How old is the oak?", depth="shallow")

    assert {str(step.kind) for step in captured.steps} <= {"memory", "retriever", "llm"}
    assert all(step.status == "ok" for step in captured.steps)


def test_knowledge_that_is_looked_up_is_a_retriever(
    server: ModelServer, agent: Callable[..., Agent], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource

    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    server.reply(lambda request: "How old is the oak?", times=None)
    embedder = {
        "provider": "openai",
        "config": {"api_key": "unused", "api_base": server.base_url, "model_name": "text-embedding-3-small"},
    }
    worker = agent(
        knowledge_sources=[StringKnowledgeSource(content="The oak has 112 rings.")],
        embedder=embedder,
    )
    task = Task(description="Count.", expected_output="A number.", agent=worker)

    Crew(agents=[worker], tasks=[task]).kickoff()

    found = [step for step in captured.steps if step.kind == "retriever"]
    assert {step.name for step in found} == {"knowledge search", "knowledge query"}
    assert any("112 rings" in str(step.output) for step in found)
    assert len(captured.workflows) == 1
