"""Counting without a provider: exact where the files are here, estimated else, never a download."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from treerings import tokens_exact
from treerings.tokens import Calibrator, TokenCount, count, estimate_usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it rests for 1234 seconds.\n"


@pytest.fixture
def no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No vocabulary anywhere."""
    monkeypatch.setattr(tokens_exact, "_directories", lambda: [tmp_path])
    tokens_exact.encoding_named.cache_clear()
    yield tmp_path
    tokens_exact.encoding_named.cache_clear()


def exact() -> bool:
    return tokens_exact.encoding_named("o200k_base") is not None


needs_files = pytest.mark.skipif(not exact(), reason="no tiktoken vocabulary on this machine")


def test_without_the_vocabulary_the_count_is_an_estimate(no_files: Path) -> None:
    assert count(SENTENCE, "gpt-4o").method == "heuristic"


def test_a_vocabulary_with_another_checksum_is_not_used(no_files: Path) -> None:
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    (no_files / hashlib.sha1(url.encode()).hexdigest()).write_bytes(b"IQ== 0\n")

    assert count(SENTENCE, "gpt-4o").method == "heuristic"


@needs_files
@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("openai/gpt-5-mini", "o200k_base"),
        ("azure/gpt-4o-2024-08-06", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("gpt-oss-120b", "o200k_harmony"),
        ("gpt-4", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
    ],
)
def test_openai_models_are_counted_exactly(model: str, encoding: str) -> None:
    assert count("hello world", model) == TokenCount(2, f"tokenizer:{encoding}")


@needs_files
def test_a_text_in_chunks_has_the_count_of_the_whole() -> None:
    text = SENTENCE * 1000
    encoding = tokens_exact.encoding_named("o200k_base")
    assert encoding is not None

    assert count(text, "gpt-4o").tokens == len(encoding.encode_ordinary(text))


@pytest.mark.parametrize("model", [None, "", "claude-sonnet-4-5", "gemini-2.5-pro", "model-nobody-knows"])
def test_models_without_a_public_tokenizer_are_estimated(model: str | None) -> None:
    assert count("hello world", model) == TokenCount(2, "heuristic")


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (SENTENCE, 17, 24),  # 19 in o200k_base
        ("人人生而自由,在尊严和权利上一律平等。", 13, 22),  # 17
        ("Все люди рождаются свободными и равными", 8, 15),  # 11
        ('{"id": 12345, "name": "a", "tags": ["x", "y"]}', 18, 30),  # 23
        ("", 0, 0),
        (" ", 0, 0),
        ("\ud800", 1, 3),
    ],
)
def test_an_estimate_is_near(text: str, least: int, most: int) -> None:
    assert least <= count(text).tokens <= most


@pytest.mark.parametrize("text", [SENTENCE * 13_000, "a" * 1_000_000, " " * 1_000_000, "漢" * 1_000_000])
def test_a_megabyte_is_counted_in_a_moment(text: str) -> None:
    started = time.perf_counter()
    count(text)

    assert time.perf_counter() - started < 1


def test_a_long_text_is_sampled_within_a_few_percent() -> None:
    short, long = count(SENTENCE * 700).tokens, count(SENTENCE * 7000).tokens

    assert long == pytest.approx(short * 10, rel=0.02)


def test_counting_imports_no_carrier_and_opens_no_socket(tmp_path: Path) -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from treerings.tokens import count\n"
        "assert 'tiktoken' not in sys.modules\n"
        "print(count('hello world', 'gpt-4o').tokens)\n"
        "assert not {'litellm', 'llama_index', 'requests'} & set(sys.modules)\n"
    )
    environment = {"TIKTOKEN_CACHE_DIR": str(tmp_path), "PATH": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "2\n"


def test_a_calibrator_waits_for_five_observations() -> None:
    calibrator = Calibrator()
    factors = []
    for _ in range(6):
        calibrator.observe("claude-sonnet-4-5", 100, 130)
        factors.append(calibrator.factor("claude-sonnet-4-5"))

    assert factors[:4] == [1.0] * 4
    assert factors[4:] == [pytest.approx(1.3)] * 2


def test_a_family_shares_its_factor() -> None:
    calibrator = Calibrator()
    for _ in range(5):
        calibrator.observe("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 100, 150)

    assert calibrator.factor("claude-sonnet-4-6") == pytest.approx(1.5)
    assert calibrator.factor("gpt-4o") == 1.0


@pytest.mark.parametrize(("true", "factor"), [(1_000_000, 3.0), (1, 0.5)])
def test_a_factor_is_clipped(true: int, factor: float) -> None:
    calibrator = Calibrator()
    for _ in range(50):
        calibrator.observe("m", 100, true)

    assert calibrator.factor("m") == pytest.approx(factor)


def test_later_observations_move_the_factor() -> None:
    calibrator = Calibrator()
    for true in [100] * 20 + [200] * 60:
        calibrator.observe("m", 100, true)

    assert calibrator.factor("m") == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    ("model", "estimate", "true"), [(None, 1, 1), ("", 1, 1), ("m", 0, 5), ("m", 5, 0), ("m", -1, -1)]
)
def test_an_odd_observation_teaches_nothing(model: str | None, estimate: int, true: int) -> None:
    calibrator = Calibrator()
    for _ in range(9):
        calibrator.observe(model, estimate, true)

    assert calibrator.factor(model) == 1.0


def test_a_calibrator_forgets_the_longest_unseen_family() -> None:
    calibrator = Calibrator()
    for _ in range(5):
        calibrator.observe("first", 100, 200)
    for number in range(256):
        calibrator.observe(f"family{number}", 100, 200)

    assert calibrator.factor("first") == 1.0


def test_a_calibrated_count_says_so() -> None:
    calibrator = Calibrator()
    for _ in range(5):
        calibrator.observe("claude-x", 100, 200)
    plain = count(SENTENCE, "claude-x")

    assert count(SENTENCE, "claude-x", calibrator=calibrator) == TokenCount(plain.tokens * 2, "calibrated")


MESSAGES = [
    {"role": "system", "content": "hello world"},
    {"role": "user", "content": [{"type": "text", "text": "hello"}]},
]


def test_messages_have_an_overhead() -> None:
    estimated = estimate_usage(model="claude-x", input=MESSAGES, output="hello world")
    assert estimated is not None
    usage, method = estimated

    assert (usage.input_tokens, usage.output_tokens, method) == (3 + 2 * 4 + 3, 2, "heuristic")


def test_what_is_not_there_stays_unknown() -> None:
    estimated = estimate_usage(model="claude-x", input="hello world", output=None)
    assert estimated is not None

    assert (estimated[0].input_tokens, estimated[0].output_tokens) == (2, None)


def test_nothing_to_count_is_no_usage() -> None:
    assert estimate_usage(model="claude-x", input=None, output=None) is None


def test_images_ids_and_metadata_are_not_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
    message = {"id": "x" * 500, "role": "user", "content": [image], "response_metadata": {"a": "b" * 500}}
    estimated = estimate_usage(model=None, input=[message], output=None)
    assert estimated is not None

    assert estimated[0].input_tokens == 4 + 3


def test_tool_calls_are_counted_with_their_arguments() -> None:
    call = {"id": "c1", "name": "search", "args": {"query": "hello world"}}
    with_call = estimate_usage(model=None, input=None, output={"content": "", "tool_calls": [call]})
    assert with_call is not None
    assert with_call[0].output_tokens is not None

    assert with_call[0].output_tokens > 5


def test_a_plugins_count_goes_first() -> None:
    estimated = estimate_usage(model="m", input="abc", output="d", count=lambda _, text: len(text) * 10)
    assert estimated is not None

    assert (estimated[0].input_tokens, estimated[0].output_tokens, estimated[1]) == (30, 10, "plugin")


def test_a_plugin_may_pass() -> None:
    estimated = estimate_usage(model="m", input="hello world", output=None, count=lambda *_: None)
    assert estimated is not None

    assert (estimated[0].input_tokens, estimated[1]) == (2, "heuristic")


def test_deep_data_ends() -> None:
    deep: object = "end"
    for _ in range(5000):
        deep = [deep]

    assert estimate_usage(model=None, input=deep, output=None) is not None
