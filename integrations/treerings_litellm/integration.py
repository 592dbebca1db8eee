"""LiteLLM for the whole process: our logger in its lists, from the moment at which the program imports it."""

from __future__ import annotations

import sys

from treerings.late_imports import forget, when_imported
from treerings.recorder import add_drain

from . import report
from .draining import drain

__all__ = ["instrument", "probe", "uninstrument"]


def instrument() -> None:
    """Record every call of this process; `litellm`, which takes seconds to import, is waited for. A second call does nothing."""
    when_imported("litellm", _add)


def uninstrument() -> None:
    """Take the logger out of LiteLLM's lists again."""
    forget(_add)
    module = sys.modules.get("litellm")
    if module is not None and f"{__package__}.logger" in sys.modules:
        from . import logger, places

        places.remove(module, logger.LOGGER)
        places.unwrap_cache()


def _add() -> None:
    try:
        from . import logger, places

        places.add(sys.modules["litellm"], logger.LOGGER)
        places.wrap_cache(logger.answered_from_cache)
    except Exception as error:  # a version that we do not know: the program goes on without us
        report.once("The integration of LiteLLM", error)


add_drain(drain)


def probe(base_url: str) -> None:
    """Ask a model once, on the scripted server at `base_url`."""
    import asyncio
    import os

    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    asyncio.run(
        litellm.acompletion(
            "openai/gpt-4o-mini",
            [{"role": "user", "content": "How old is the oak?"}],
            api_base=base_url,
            api_key="unused",
            max_retries=0,
        )
    )
