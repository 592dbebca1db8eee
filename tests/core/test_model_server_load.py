"""ModelServer under many requests and clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import AsyncOpenAI, OpenAI
from treerings.testing.model_server import ModelServer

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "How old is this oak?"}]})


def post(connection: http.client.HTTPConnection) -> str:
    connection.request("POST", "/v1/chat/completions", body=BODY)
    answer: Any = json.loads(connection.getresponse().read())
    return str(answer["choices"][0]["message"]["content"])


def test_a_thousand_requests_on_one_connection_start_no_thread() -> None:
    with ModelServer(default="echo") as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        post(connection)
        before = set(threading.enumerate())
        for _ in range(1000):
            post(connection)
        connection.close()

        assert set(threading.enumerate()) == before
        assert server.usage_served.calls == 1001


def test_a_thousand_connections_start_no_thread() -> None:
    with ModelServer(default="echo") as server:
        before = set(threading.enumerate())
        for _ in range(1000):
            connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
            post(connection)
            connection.close()

        assert set(threading.enumerate()) == before


def test_thirty_two_clients_at_once_each_get_one_reply() -> None:
    texts = [f"reply {number}" for number in range(320)]
    with ModelServer() as server:
        for text in texts:
            server.say(text)

        def client(_: int) -> list[str]:
            with OpenAI(base_url=server.base_url, api_key="unused") as openai:
                answers = [
                    openai.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
                    for _ in range(10)
                ]
            return [str(answer.choices[0].message.content) for answer in answers]

        with ThreadPoolExecutor(32) as pool:
            received = [text for texts_of_one in pool.map(client, range(32)) for text in texts_of_one]

    assert sorted(received) == sorted(texts)


def test_functions_of_requests_at_once_may_wait_for_each_other() -> None:
    meeting = threading.Barrier(32, timeout=30)

    def reply(request: object) -> str:
        meeting.wait()
        return "all are here"

    async def ask_all(base_url: str) -> list[str | None]:
        async with AsyncOpenAI(base_url=base_url, api_key="unused") as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
                    for _ in range(32)
                )
            )
        return [answer.choices[0].message.content for answer in answers]

    with ModelServer(default=reply) as server:
        assert asyncio.run(ask_all(server.base_url)) == ["all are here"] * 32
