"""Runs LangChain agents from recorded traffic: whatever the recording asks for, the loop runs through to its last call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool
from langchain_openai import ChatOpenAI
from treerings.testing import ModelServer, recordings
from treerings.testing.recordings import Call

__all__ = ["FOLDER", "Replay", "recorded"]

FOLDER = recordings.folder()
"""Looked for at import: tests may change the working directory."""


@cache
def recorded(endpoint: str) -> list[Any]:
    """The recordings that hold answers of this endpoint, as parameters: their path inside the folder."""
    if FOLDER is None:
        return []
    return [str(path.relative_to(FOLDER)) for path in sorted(FOLDER.rglob("*.json")) if usable(path, endpoint)]


def usable(path: Path, endpoint: str) -> list[Call]:
    """The calls of a recording that a chat model can ask for again: to this endpoint, answered, or refused with an error."""
    try:
        calls = recordings.load(path)
    except (KeyError, TypeError, ValueError):
        return []
    found = [call for call in calls if call.endpoint == endpoint and isinstance(call.request, dict)]
    return found if any(call.status < 400 for call in found) else []


class Replay:
    """One recording, played to agents inside one chain until none of its calls is left."""

    def __init__(self, server: ModelServer, name: str, endpoint: str, *, streaming: bool = False) -> None:
        assert FOLDER is not None
        self.server = server
        self.calls = usable(FOLDER / name, endpoint)
        if endpoint == "messages":  # an answer in this format is played as it was recorded
            self.calls = [call for call in self.calls if call.is_stream is streaming]
        self.refused: list[Call] = []
        """Those whose answer was an error, or none that LangChain's model understands: it tells nobody their usage."""
        self.endpoint = endpoint
        self.streaming = streaming
        server.play(self.calls)

    def run(self, config: dict[str, Any], *, asynchronous: bool) -> None:
        """Ask for every recorded call, in as many agent loops as it takes; failures of the provider end a loop."""
        if asynchronous:
            asyncio.run(RunnableLambda(self._all_async).ainvoke("replay", config))
        else:
            RunnableLambda(self._all).invoke("replay", config)

    @property
    def answered(self) -> list[Call]:
        return [call for call in self.calls if not any(call is refused for refused in self.refused)]

    def _all(self, _: str) -> str:
        for agent, question in self._loops():
            try:
                agent.invoke(question)
            except Exception:
                self._refuse()
        return "done"

    def _refuse(self) -> None:
        asked = len(self.server.requests)
        if asked <= len(self.calls):  # else the loop asked for one more answer than there is
            self.refused.append(self.calls[asked - 1])

    async def _all_async(self, _: str) -> str:
        for agent, question in self._loops():
            try:
                await agent.ainvoke(question)
            except Exception:
                self._refuse()
        return "done"

    def _loops(self) -> Iterator[tuple[Any, Any]]:
        while (played := len(self.server.requests)) < len(self.calls):
            call = self.calls[played]
            agent = create_agent(self._model(call), self._tools(), name="replayed")
            yield agent, {"messages": [("user", call.asked.last_text or "Go on.")]}
            assert len(self.server.requests) > played, "the agent asked for nothing"

    def _model(self, call: Call) -> BaseChatModel:
        model = call.asked.model or "gpt-4o-mini"
        if self.endpoint == "messages":
            from langchain_anthropic import ChatAnthropic

            return ChatAnthropic(
                base_url=self.server.url, api_key="unused", model=model, max_retries=0, streaming=self.streaming
            )
        if "enerateContent" in self.endpoint:
            from langchain_google_genai import ChatGoogleGenerativeAI

            return ChatGoogleGenerativeAI(
                model=model,
                api_key="unused",
                base_url=self.server.url,
                max_retries=0,
                streaming=self.endpoint == "streamGenerateContent",
            )
        return ChatOpenAI(
            base_url=self.server.base_url,
            api_key="unused",
            model=model,
            max_retries=0,
            use_responses_api=self.endpoint == "responses",
            streaming=self.streaming,
            stream_usage=True,
        )

    def _tools(self) -> list[BaseTool]:
        """A tool for every name that is offered or called in the recording; all take anything."""
        names = {name for call in self.calls for name in call.asked.tools}
        for call in self.calls:
            for event in recordings.events(call):
                names.update(_called(event))
        return [_anything(name) for name in sorted(names)]


def _called(value: Any) -> Iterator[str]:
    """The names of the tools that an answer, or an event of a stream, calls."""
    if isinstance(value, list):
        for item in value:
            yield from _called(item)
    elif isinstance(value, dict):
        name = value.get("name")
        calls = value.get("type") in ("function_call", "tool_use") or "arguments" in value or "args" in value
        if calls and isinstance(name, str) and name:
            yield name
        for item in value.values():
            yield from _called(item)


def _anything(name: str) -> BaseTool:
    schema = {"type": "object", "properties": {}, "additionalProperties": True}

    def answer(**_: Any) -> str:
        return "done"

    async def answer_async(**_: Any) -> str:
        return "done"

    make: Callable[..., BaseTool] = StructuredTool
    return make(name=name, description="A recorded tool.", args_schema=schema, func=answer, coroutine=answer_async)
