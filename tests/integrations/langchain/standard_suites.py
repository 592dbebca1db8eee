"""LangChain's own conformance suites, on the model server, with and without us; run by `test_standard_suites`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import treerings
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, tool
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import (
    ChatModelIntegrationTests,
    RetrieversIntegrationTests,
    ToolsIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests
from treerings.testing import Answer, ModelRequest, ModelServer, ToolCall, capture

server = ModelServer(default=lambda request: answer(request))


@pytest.fixture(autouse=True, params=["bare", "captured"])
def _attached(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs twice. The kinds of the steps that the second turn captures are written to `REPORT_TO`."""
    if request.param == "bare":
        yield
        return
    with capture() as captured:
        treerings.instrument("langchain")
        yield
        treerings.uninstrument("langchain")
        captured.finish()
        with Path(os.environ["REPORT_TO"]).open("a") as report:
            report.writelines(f"{step.kind}\n" for step in captured.steps)


@pytest.fixture(scope="session", autouse=True)
def _served() -> Iterator[None]:
    with server:
        yield


def answer(request: ModelRequest) -> Answer:
    """One tool call while there is no result yet and tools are given, else text."""
    schema = request.body.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema:
        return Answer(json.dumps(filled(schema)))
    if request.tools and request.tool_result is None:
        function = request.body["tools"][0]["function"]
        return Answer(tool_calls=[ToolCall(function["name"], filled(function["parameters"]))])
    return Answer("Hello, this is an answer of several words.")


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    values = {"integer": 3, "number": 3.0, "boolean": True, "array": [], "object": {}}
    return {name: values.get(part.get("type"), "你好 株式会社") for name, part in schema.get("properties", {}).items()}


class TestChatModelUnits(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "unused"}


class TestChatModel(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "gpt-4o-mini",
            "base_url": server.base_url,
            "api_key": "unused",
            "stream_usage": True,
            "http_async_client": httpx.AsyncClient(),  # the one that LangChain shares does not outlive a test's loop
        }


@tool
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


class TestToolUnits(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return add

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"a": 1, "b": 2}


class TestTool(ToolsIntegrationTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return add

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"a": 1, "b": 2}


class Trees(BaseRetriever):
    k: int = 3

    def _get_relevant_documents(self, query: str, *, run_manager: Any, **kwargs: Any) -> list[Document]:
        return [Document(f"tree {number}") for number in range(kwargs.get("k", self.k))]


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[Trees]:
        return Trees

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {}

    @property
    def retriever_query_example(self) -> str:
        return "oak"


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        return InMemoryVectorStore(embedding=self.get_embeddings())

    @staticmethod
    def get_embeddings() -> Embeddings:
        return DeterministicFakeEmbedding(size=6)
