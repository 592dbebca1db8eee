"""Clients of an SDK are recorded all together or one by one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from treerings.wrapped_clients import WrappedClients, owner_of
from treerings.wrapping import Patches


class Base:
    def ask(self) -> str:
        return "plain"


class Client(Base):
    def copy(self) -> Client:
        return Client()


def patch(patches: Patches) -> None:
    patches.wrap(Base, "ask", around)
    patches.wrap(Client, "copy", clients.copied)


def around(function: Any, args: Any, kwargs: Any) -> str:
    return "recorded" if args[0] in clients else str(function(*args, **kwargs))


clients = WrappedClients(patch)


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    clients.uninstrument()
    assert not hasattr(Base.ask, "__wrapped__")


def test_instrumented_every_client_is_meant() -> None:
    client = Client()
    clients.instrument()
    clients.instrument()

    assert client.ask() == Client().ask() == "recorded"


def test_a_single_client_is_meant_and_what_is_copied_from_it() -> None:
    client = clients.wrap(Client())
    copy = client.copy()

    assert [one.ask() for one in (client, copy, Client())] == ["recorded", "recorded", "plain"]

    clients.unwrap(client)
    clients.unwrap(copy)


def test_a_single_client_outlasts_uninstrument() -> None:
    client = clients.wrap(Client())
    clients.instrument()
    clients.uninstrument()

    assert [client.ask(), Client().ask()] == ["recorded", "plain"]

    clients.unwrap(client)


def test_a_client_is_not_kept_alive() -> None:
    clients.wrap(Client())
    gc.collect()

    assert len(clients._single) == 0


def test_the_owner_of_a_method_is_the_class_that_has_it() -> None:
    assert (owner_of(Client, "ask"), owner_of(Client, "copy"), owner_of(Client, "missing")) == (Base, Client, Client)
