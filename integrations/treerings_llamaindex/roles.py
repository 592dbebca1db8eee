"""What a span of LlamaIndex is, told by the class of its instance and the method."""

from __future__ import annotations

from typing import Any

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.multi_agent_workflow import AgentWorkflow
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.tools.types import BaseTool
from treerings import Kind
from workflows import Workflow

__all__ = ["AGENT_STEPS", "KINDS", "is_agent", "is_team", "provider_of", "role_of"]

AGENT_STEPS = frozenset(
    {"init_run", "setup_agent", "run_agent_step", "parse_agent_output", "call_tool", "aggregate_tool_results"}
)
"""The steps that LlamaIndex's own agents are made of."""

KINDS = {
    "run": Kind.WORKFLOW,
    "engine": Kind.WORKFLOW,
    "retriever": Kind.RETRIEVER,
    "synthesizer": Kind.CHAIN,
    "reranker": Kind.RERANKER,
    "tool": Kind.TOOL,
    "pipeline": Kind.CHAIN,
}
"""The kinds of the steps that begin with their span."""

_ROLES: tuple[tuple[str, type, frozenset[str]], ...] = (
    ("run", Workflow, frozenset({"run"})),
    ("engine", BaseQueryEngine, frozenset({"query", "aquery"})),
    ("engine", BaseChatEngine, frozenset({"chat", "achat", "stream_chat", "astream_chat"})),
    ("retriever", BaseRetriever, frozenset({"retrieve", "aretrieve"})),
    ("synthesizer", BaseSynthesizer, frozenset({"synthesize", "asynthesize"})),
    (
        "reranker",
        BaseNodePostprocessor,
        frozenset({"postprocess_nodes", "apostprocess_nodes", "_postprocess_nodes", "_apostprocess_nodes"}),
    ),
    ("tool", BaseTool, frozenset({"call", "acall", "__call__"})),
    ("pipeline", IngestionPipeline, frozenset({"run", "arun"})),
    (
        "model",
        BaseLLM,
        frozenset(
            f"{a}{stream}{what}" for a in ("", "a") for stream in ("", "stream_") for what in ("chat", "complete")
        ),
    ),
    ("embedding", BaseEmbedding, frozenset()),
    ("embedding", BaseSparseEmbedding, frozenset()),
)

_PROVIDERS = {
    "azure_openai": "azure",
    "azure_inference": "azure",
    "bedrock_converse": "bedrock",
    "gemini": "google",
    "google_genai": "google",
    "vertex": "google",
    "mistralai": "mistral",
    "openai_like": None,
    "openai_responses": "openai",
    "ollama_embedding": "ollama",
    "langchain": None,
    "litellm": None,
}
_known: dict[tuple[type, str], str] = {}
_told_providers: dict[type, str | None] = {}


def role_of(instance: Any, method: str) -> str:
    """What this span is; empty for plumbing. Remembered, since `isinstance` of abstract classes takes microseconds."""
    key = (type(instance), method)
    role = _known.get(key)
    if role is None:
        role = ""
        for name, base, methods in _ROLES:
            if isinstance(instance, base) and (method in methods or not methods):
                role = name
                break
        if len(_known) > 10_000:  # a program that makes classes without end
            _known.clear()
        _known[key] = role
    return role


def is_agent(instance: Any) -> bool:
    """Whether this workflow is one agent: FunctionAgent, ReActAgent, CodeActAgent, and their like."""
    return isinstance(instance, BaseWorkflowAgent)


def is_team(instance: Any) -> bool:
    """Whether this workflow runs several agents."""
    return isinstance(instance, AgentWorkflow)


def provider_of(instance: Any) -> str | None:
    """The provider, by the package that the class comes from: `llama_index.llms.openai` is `openai`."""
    kind = type(instance)
    if kind not in _told_providers:
        if len(_told_providers) > 10_000:
            _told_providers.clear()
        _told_providers[kind] = next(filter(None, map(_provider, kind.__mro__)), None)
    return _told_providers[kind]


def _provider(cls: type) -> str | None:
    parts = cls.__module__.split(".")
    if len(parts) < 3 or parts[0] != "llama_index" or parts[1] not in ("llms", "embeddings"):
        return None
    return _PROVIDERS.get(parts[2], parts[2])
