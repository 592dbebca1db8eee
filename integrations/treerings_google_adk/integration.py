"""The Agent Development Kit for the whole process: our plugin first in every runner that is made from now on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from google.adk.runners import Runner

from .callbacks import TreeringsPlugin

__all__ = ["instrument", "probe", "uninstrument"]

_plugin = TreeringsPlugin()
_init: Callable[..., None] | None = None


def instrument() -> None:
    """Record every runner that is made from now on; a second call does nothing."""
    global _init
    _plugin.active = True
    if _init is not None:
        return
    init = _init = Runner.__init__

    @functools.wraps(init)
    def with_plugin(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        plugins = self.plugin_manager.plugins
        if not any(isinstance(plugin, TreeringsPlugin) for plugin in plugins):
            plugins.insert(0, _plugin)  # a plugin before it that answers would hide what it answers

    Runner.__init__ = with_plugin  # type: ignore[method-assign]  # there is no list of plugins for all runners


def uninstrument() -> None:
    """Give the class its own constructor back; runners that have the plugin are not recorded any more."""
    global _init
    _plugin.active = False
    if _init is not None:
        Runner.__init__ = _init  # type: ignore[method-assign]
        _init = None


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    import asyncio

    from google.adk.agents import LlmAgent
    from google.adk.models.lite_llm import LiteLlm
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    async def run() -> None:
        model = LiteLlm("openai/gpt-4o-mini", api_base=base_url, api_key="unused", _skip_mcp_handler=True)
        runner = InMemoryRunner(LlmAgent(name="probe", model=model, tools=[ring_count]), app_name="probe")
        session = await runner.session_service.create_session(app_name="probe", user_id="probe")
        question = types.Content(role="user", parts=[types.Part(text="How old is the oak?")])
        async for _ in runner.run_async(user_id="probe", session_id=session.id, new_message=question):
            pass

    asyncio.run(run())
