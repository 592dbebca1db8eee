"""dspy for the whole process: our callback beside those of the settings, which stay as they are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from dspy.dsp.utils.settings import Settings  # type: ignore[import-untyped]  # dspy is not typed

from . import threads
from .callback import TreeringsCallback, take_refusal

__all__ = ["instrument", "probe", "uninstrument"]

_callback = TreeringsCallback()
_get: Callable[..., Any] | None = None


class _Callbacks(list[Any]):
    """Callbacks of one call. What they raise dspy swallows, what their list raises it does not: there a guard stops it."""

    def __add__(self, others: Any) -> _Callbacks:
        return _Callbacks([*list.__iter__(self), *others])

    def __iter__(self) -> Iterator[Any]:
        for callback in list.__iter__(self):
            yield callback
            refusal = take_refusal()
            if refusal is not None:
                raise refusal


def instrument() -> None:
    """Record every call of this process; a second call does nothing.

    `dspy.configure` belongs to the thread that calls it first, and the next one would take our callback out again: so the
    settings are left alone, and the callback is added where they are asked for callbacks.
    """
    global _get
    _callback.active = True
    threads.wrap()
    if _get is not None:
        return
    get = _get = Settings.get

    @functools.wraps(get)
    def with_callback(self: Any, key: Any, default: Any = None) -> Any:
        value = get(self, key, default)
        if key != "callbacks" or not _callback.active:
            return value
        listed = list(value or ())
        return _Callbacks(listed if _callback in listed else [*listed, _callback])

    Settings.get = with_callback


def uninstrument() -> None:
    """Give the settings and the executor their own methods back."""
    global _get
    _callback.active = False
    threads.unwrap()
    if _get is not None:
        Settings.get = _get
        _get = None


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    import contextlib

    import dspy  # type: ignore[import-untyped]  # dspy is not typed
    from dspy.utils.exceptions import AdapterParseError  # type: ignore[import-untyped]

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    model = dspy.LM("openai/gpt-4o-mini", api_base=base_url, api_key="unused", cache=False, num_retries=0)
    native = hasattr(dspy, "ReActV2")
    agent = (dspy.ReActV2 if native else dspy.ReAct)("question -> answer", tools=[ring_count], max_iters=1)
    adapter = dspy.ChatAdapter(use_native_function_calling=True)
    # the server answers tool calls, but not in the words by which dspy's agents end
    with dspy.context(lm=model, adapter=adapter), contextlib.suppress(ValueError, AdapterParseError):
        if not native:  # the older agent reads its tool's name out of the text, where the server writes none
            agent.tools["ring_count"](tree="oak")
        agent(question="How old is the oak?")
