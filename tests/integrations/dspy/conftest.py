"""A model server, a language model on it, and a capture, with dspy instrumented."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("DSPY_CACHEDIR", tempfile.mkdtemp(prefix="treerings-dspy-"))  # read when dspy is imported

pytest.importorskip("dspy")

import dspy  # type: ignore[import-untyped]
from treerings.testing import Capture, ModelServer, capture
from treerings_dspy import integration
from treerings_dspy.callback import _last_calls, _open

dspy_settings: Any = importlib.import_module("dspy.dsp.utils.settings")  # the package has an object of this name


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """No cache but where a test asks for it, and the settings of each test are its own."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    before = dict(dspy_settings.main_thread_config)
    yield
    dspy_settings.main_thread_config.clear()
    dspy_settings.main_thread_config.update(before)
    dspy_settings.config_owner_thread_id = dspy_settings.config_owner_async_task = None


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        integration.instrument()
        yield captured
        integration.uninstrument()
    _open.clear()
    _last_calls.clear()


@pytest.fixture
def lm(server: ModelServer) -> Callable[..., Any]:
    """Makes language models on the server and configures dspy with them."""

    def make(**options: Any) -> Any:
        given = {"api_base": server.base_url, "api_key": "unused", "num_retries": 0, **options}
        model = dspy.LM("openai/gpt-4o-mini", **given)
        dspy.configure(lm=model)
        return model

    return make
