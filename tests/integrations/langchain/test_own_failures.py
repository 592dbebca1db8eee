"""A failure of ours: the run goes on, one line is logged."""

from __future__ import annotations

import logging

import pytest
from langchain_core.language_models import FakeListChatModel
from treerings.testing import Capture
from treerings_langchain import CallbackHandler, handler
from treerings_langchain.translate import Translator


def test_a_failure_in_the_handler_is_said_once_and_changes_nothing(
    captured: Capture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a bug of ours")

    for name in ("model_started", "model_ended", "failed"):
        monkeypatch.setattr(Translator, name, fail)
    monkeypatch.setattr(handler, "_reported", set())
    model = FakeListChatModel(responses=["ninety", "ninety"])
    with caplog.at_level(logging.WARNING):
        answers = [model.invoke("How old?", config={"callbacks": [CallbackHandler()]}).content for _ in range(2)]
    assert answers == ["ninety", "ninety"]
    assert captured.steps == []
    assert [record.getMessage() for record in caplog.records] == [
        "on_chat_model_start failed and recorded nothing (said once)",
        "on_llm_end failed and recorded nothing (said once)",
    ]
