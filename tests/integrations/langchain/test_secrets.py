"""Secrets that LangChain shows its handlers never reach a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import SecretStr
from treerings.plain import dump_json, dump_step
from treerings.store import Store
from treerings.testing import Capture, ModelServer, capture
from treerings_jsonl.plugin import JsonlStore
from treerings_langchain import CallbackHandler

Make = Callable[..., Any]
QUESTION: Any = {"messages": [("user", "How old is the oak?")]}

KEY = "sk-proj-planted0000000000000000000000000001"
HEADER = "planted-header-value"
PLAIN = "planted-constructor-value"


class House(BaseChatModel):
    """A user's own model with a secret that is a plain text, and shows it in its parameters."""

    house_key: str

    @property
    def _llm_type(self) -> str:
        return "house"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": "house-7b", "house_key": self.house_key}

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Ninety."))])


def stored(captured: Capture) -> str:
    """Everything that the store holds, as text."""
    return "\n".join(dump_json(dump_step(step)).decode() for step in captured.steps)


def test_keys_and_headers_of_a_model_are_not_stored(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    @tool
    def measure(tree: str) -> str:
        """Count."""
        return "90"

    secret = model(api_key=KEY, default_headers={"x-house": HEADER}, extra_body={"house": HEADER}, metadata={"a": 1})
    create_agent(secret, [measure]).invoke(QUESTION, traced)

    assert KEY not in stored(captured)
    assert HEADER not in stored(captured)


def test_constructor_arguments_of_a_models_class_are_not_stored(captured: Capture, traced: dict[str, Any]) -> None:
    House(house_key=PLAIN).invoke("?", traced)

    assert captured.step("llm").model == "house-7b"
    assert PLAIN not in stored(captured)


def test_the_configurable_part_of_a_config_is_not_stored(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("Ninety.")
    agent = create_agent(model(), checkpointer=InMemorySaver())

    agent.invoke(QUESTION, {**traced, "configurable": {"thread_id": "t-1", "house_key": PLAIN}})

    assert PLAIN not in stored(captured)


def test_a_secret_in_metadata_is_redacted(captured: Capture, traced: dict[str, Any]) -> None:
    metadata = {"api_key": PLAIN, "note": f"use {KEY}", "release": "1.2"}

    RunnableLambda(str).invoke("x", {**traced, "metadata": metadata})

    assert PLAIN not in stored(captured)
    assert KEY not in stored(captured)
    assert captured.steps[0].attributes["metadata"]["release"] == "1.2"


def test_what_a_tool_is_given_by_the_runtime_is_not_stored(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    @tool
    def measure(tree: str, runtime: ToolRuntime[dict[str, str]]) -> str:
        """Count."""
        return "90" if runtime.context["key"] == PLAIN else "0"

    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    create_agent(model(), [measure], context_schema=dict).invoke(QUESTION, traced, context={"key": PLAIN})

    assert captured.step("tool").output["content"] == "90"
    assert captured.step("tool").input == {"tree": "oak"}
    assert PLAIN not in stored(captured)


def test_a_secret_value_in_a_state_is_not_stored(captured: Capture, traced: dict[str, Any]) -> None:
    RunnableLambda(lambda state: state).invoke({"token": SecretStr(PLAIN), "password": PLAIN}, traced)

    assert PLAIN not in stored(captured)


def test_an_errors_text_is_redacted(captured: Capture, traced: dict[str, Any]) -> None:
    def refuse(_: str) -> str:
        raise PermissionError(f"the key {KEY} is not known")

    try:
        RunnableLambda(refuse).invoke("x", traced)
    except PermissionError:
        pass

    assert captured.steps[0].status == "error"
    assert KEY not in stored(captured)


def test_no_secret_is_in_the_files_of_a_store(server: ModelServer, model: Make, tmp_path: Path) -> None:
    server.say(f"Your key is {KEY}.")
    store: Store = JsonlStore(f"jsonl:///{tmp_path}/steps.jsonl")
    with capture(store=store, content="full") as captured:
        model(api_key=KEY, default_headers={"x-house": HEADER}).invoke(
            f"My key is {KEY}", {"callbacks": [CallbackHandler()], "metadata": {"authorization": HEADER}}
        )
        captured.flush()
        text = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())

    assert json.loads(text.splitlines()[0])
    assert KEY not in text
    assert HEADER not in text
