"""Secrets never get through; what only looks like one stays; content is kept as far as the setting says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from treerings import Kind, Status, Step
from treerings.privacy import _MARKS, ContentPolicy, redact_secrets


def a_step(**fields: Any) -> Step:
    step = Step("a", "a", None, 1, Kind.TOOL, "search", "test", Status.OK, 1)
    for name, value in fields.items():
        setattr(step, name, value)
    return step


def cleaned(content: str = "full", max_content: int = 16_384, **fields: Any) -> Step:
    step = a_step(**fields)
    ContentPolicy(content, max_content)(step)
    return step


# Put together at run time, so that no scanner takes this file for a leak.
DIGITS = "0123456789"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5"
SECRETS = {
    "openai": "sk-" + MIXED,
    "openai project": "sk-proj-" + MIXED,
    "anthropic": "sk-ant-api03-" + MIXED,
    "langfuse": "pk-lf-" + MIXED,
    "stripe": "sk_live_" + MIXED,
    "stripe restricted": "rk_test_" + MIXED,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "google": "AIza" + MIXED,
    "google oauth": "ya29." + MIXED,
    "github": "ghp_" + MIXED,
    "github fine": "github_pat_" + MIXED,
    "gitlab": "glpat-" + MIXED,
    "slack": "xoxb-" + DIGITS + "-" + LETTERS,
    "slack app": "xapp-1-" + MIXED,
    "hugging face": "hf_" + MIXED,
    "groq": "gsk_" + MIXED,
    "xai": "xai-" + MIXED,
    "replicate": "r8_" + MIXED,
    "perplexity": "pplx-" + MIXED,
    "tavily": "tvly-dev-" + MIXED,
    "nvidia": "nvapi-" + MIXED,
    "langsmith": "lsv2_pt_" + MIXED,
    "npm": "npm_" + MIXED,
    "pypi": "pypi-" + MIXED,
    "sendgrid": "SG." + MIXED[:22] + "." + MIXED,
    "jwt": "eyJ" + MIXED + ".eyJ" + MIXED + "." + MIXED,
    "private key": "-----BEGIN RSA PRIVATE KEY-----\n" + MIXED + "\n-----END RSA PRIVATE KEY-----",
    "cut private key": "-----BEGIN PRIVATE KEY-----\n" + MIXED,
}
IN_TEXT = {
    "bearer": ("Authorization: Bearer " + MIXED, MIXED),
    "basic": ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "url": ("postgresql://app:hunter2@db:5432/x", "hunter2"),
    "url without a user": ("redis://:hunter2@cache:6379/0", "hunter2"),
    "environment": ("OPENAI_API_KEY=" + MIXED, MIXED),
    "keyword": ("connect(api_key='" + MIXED + "')", MIXED),
    "header": ("X-Api-Key: " + MIXED, MIXED),
    "json": ('{"password": "hunterandmore"}', "hunterandmore"),
    "json in json": (r'{"arguments": "{\"password\": \"hunterandmore\"}"}', "hunterandmore"),
    "yaml": ("password: hunter2", "hunter2"),
    "connection string": ("AccountName=a;AccountKey=" + MIXED + "==;", MIXED),
    "query": ("https://x/?access_token=" + MIXED + "&page=2", MIXED),
    "aws secret": ("AWS_SECRET_ACCESS_KEY=" + MIXED, MIXED),
    "client secret": ("client_secret=" + MIXED, MIXED),
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_taken_out_of_text(secret: str) -> None:
    assert redact_secrets(f"before {secret}") == "before [redacted]"


@pytest.mark.parametrize(("text", "secret"), IN_TEXT.values(), ids=IN_TEXT)
def test_a_secret_that_its_surroundings_give_away_is_taken_out(text: str, secret: str) -> None:
    assert text.replace(secret, "[redacted]").partition("[redacted]")[0] in redact_secrets(text)
    assert secret not in redact_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "Please enter your password to continue.",
        "The password: never share it with anyone.",
        "A task-list with risk-free items and disk-usage-of-the-machine-is-fine",
        "sk-learn-compatible-estimators are fine",
        "The bearer of good news-is-here, authorization-is-not-needed",
        "Basic understanding of authorization: basics",
        "https://example.com/a:b/c and user@example.com at 10:30",
        "https://example.com:8080/path?x=1@2",
        "secret: nobody knows",
        "He is the secretary; tokens=12, max_tokens: 512, next_token_index=7",
        "eyJust a word. And another.",
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
        "ghp and hf_ and xox- and AKIA and AIza",
    ],
)
def test_text_that_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact_secrets(text) == text


def test_secrets_are_taken_out_everywhere_in_a_step() -> None:
    secret = SECRETS["openai"]
    step = cleaned(
        name=f"call {secret}",
        input={"messages": [{"content": [f"key {secret}"]}], secret: 1},
        output=[[f"x {secret}"]],
        error=f"401 with {secret}",
        attributes={"headers": {"x": secret}},
        session_id=f"s-{secret}",
        user_id=f"u {secret}",
        tenant_id=f"t {secret}",
        labels={"team": f"x {secret}", "api_key": "short"},
    )
    assert secret not in repr(step)
    assert step.labels["api_key"] == "[redacted]"


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_password", "dbPassword", "api_key", "apiKey", "openaiApiKey", "x-api-key", "API-Key",
        "Authorization", "proxy-authorization", "client_secret", "aws_secret_access_key", "privateKey", "Set-Cookie",
        "credentials", "azure.connection_string",
    ],
)  # fmt: skip
def test_values_under_secret_names_are_hidden(name: str) -> None:
    assert cleaned(input={"a": [{name: "x1"}]}).input == {"a": [{name: "[redacted]"}]}
    assert cleaned(attributes={name: ["x1", {"y": 2}]}).attributes == {name: "[redacted]"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "Hello"),
        ("eos_token", "</s>"),
        ("max_tokens", "1234567890123456"),
        ("token", 17),
        ("password", None),
        ("has_password", True),
        ("secretary", "Miss Lemon of the office"),
        ("author", "someone whose name is long"),
        ("passwords_checked", 3),
        ("key", "value of some entry in a map"),
    ],
)
def test_values_under_harmless_names_stay(name: str, value: Any) -> None:
    assert cleaned(input={name: value}).input == {name: value}


def test_a_long_token_is_hidden() -> None:
    assert cleaned(input={"bot_token": DIGITS * 2}).input == {"bot_token": "[redacted]"}


def test_truncated_cuts_each_string_after_secrets_are_out() -> None:
    secret = SECRETS["openai"]
    step = cleaned("truncated", 20, input=["x" * 25, "y" * 10 + " " + secret], output="short")
    assert (step.input, step.output) == (
        ["x" * 20 + "… [5 more characters]", "y" * 10 + " [redacted" + "… [1 more characters]"],
        "short",
    )


def test_full_keeps_everything_but_secrets() -> None:
    assert cleaned("full", input="x" * 100_000).input == "x" * 100_000


def test_none_keeps_no_content_but_says_what_failed() -> None:
    step = cleaned("none", input="question", output="answer", error="broken", attributes={"a": 1})
    assert (step.input, step.output, step.error, step.attributes) == (None, None, "broken", {"a": 1})


def test_hash_lets_equal_payloads_be_found_and_nothing_else() -> None:
    first, second, other = (cleaned("hash", input={"q": text}, output=None) for text in ("a", "a", "b"))
    assert first.input == second.input != other.input
    assert set(first.input) == {"blake2b", "bytes"}
    assert first.output is None


def test_the_same_policy_twice_changes_nothing_more() -> None:
    step = cleaned(input={"password": "x", "text": SECRETS["jwt"]}, error=SECRETS["aws"])
    before = repr(step)
    ContentPolicy("full")(step)
    assert repr(step) == before


@given(st.text())
def test_redacting_is_done_after_once(text: str) -> None:
    once = redact_secrets(text)
    assert redact_secrets(once) == once


def test_no_pattern_looks_further_than_a_bound_from_each_place() -> None:
    """Cost grows with the text only where a pattern without a bound can begin anywhere inside of what it refused.

    Unbounded repetitions are therefore at the end, where they only ever succeed; possessive, behind a place where no
    match can begin inside; or the body of a private key, which ends at the end of the text at the latest.
    """
    for _, pattern in _MARKS:
        bounded = re.sub(r"\{\d+,\d+\}\+?|\{\d+\}", "", pattern)
        if pattern.startswith("-----BEGIN"):
            assert bounded.count("*?") == 1
            continue
        if "{8,}+" in bounded:
            assert bounded.startswith("(?<![A-Za-z0-9_\\-])eyJ[A-Za-z0-9_\\-]")
            bounded = bounded.replace("{8,}+", "")
        bounded = re.sub(r"\{\d+,\}(?:=)?(?:\\b)?$", "", bounded)
        assert not re.search(r"\{\d+,\}|(?<!\\)[*+](?![/.=~\]])", re.sub(r"\[[^\]]*\]", "C", bounded)), pattern
