"""Who answers a client: its class says it, else its host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from treerings.hosts import provider_of


def at(host: str, port: int | None = None, name: str = "Client", bases: tuple[type, ...] = ()) -> Any:
    client = type(name, bases, {})()
    client.base_url = SimpleNamespace(host=host, port=port)
    return client


@pytest.mark.parametrize(
    ("host", "port", "provider"),
    [
        ("api.openai.com", None, "openai"),
        ("eu.api.openai.com", None, "openai"),
        ("api.deepseek.com", None, "deepseek"),
        ("api.x.ai", None, "xai"),
        ("max.ai", None, None),
        ("bedrock-runtime.eu-west-1.amazonaws.com", None, "bedrock"),
        ("localhost", 11434, "ollama"),
        ("localhost", 8000, None),
    ],
)
def test_the_end_of_the_host_tells_the_provider(host: str, port: int | None, provider: str | None) -> None:
    assert provider_of(at(host, port), {}) == provider


def test_a_clients_class_goes_before_its_host_also_where_the_users_is_a_subclass() -> None:
    theirs = type("SomeAzureClient", (), {})
    assert provider_of(at("api.openai.com", name="Ours", bases=(theirs,)), {"Azure": "azure"}) == "azure"
