"""What of a step's content reaches plugins and stores: secrets never, the rest as the settings say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from .plain import dump_json
from .records import Step

__all__ = ["ContentPolicy", "redact_secrets"]

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:api_?key|secret|secrets|password|passwords|passwd|pwd|passphrase|authorization|bearer|cookie|cookies|"
    r"credential|credentials|(?:access|account|encryption|private|secret|signing)_key|client_secret|connection_string)$"
)
_TOKEN_NAME = re.compile(r"(?:^|_)token$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TOKEN_LENGTH = 16
"""From how many characters without a space the value of `token`, `access_token`, `bot_token` ... is a secret: the token of
a log probability and the `</s>` of an `eos_token` are shorter."""

# Each kind of secret: a mark that a plain search finds, and the pattern that then decides. What the group `keep` matches
# stays. No pattern may try again from inside of what it has just refused: quantifiers are bounded, or what precedes a
# match cannot be part of one. That keeps the cost linear in the text.
_DIGIT = r"(?=[A-Za-z0-9_\-.=+/]{0,64}\d)"
_NAMED = r"\\?[\"']?\s{0,4}(?:=\s{0,4}|:\s{0,4}(?=\\?[\"'])|:\s{0,4}(?=[^\s\"',;]{0,64}\d))\\?[\"']?)"
_VALUE = r"[^\s\"'\\,;&)}\]]{4,256}"
_MARKS = (
    ("sk-", rf"\bsk-{_DIGIT}[A-Za-z0-9_\-]{{16,}}"),
    ("pk-lf-", r"\bpk-lf-[A-Za-z0-9_\-]{16,}"),
    ("k_live_", r"\b[sr]k_live_[A-Za-z0-9]{16,}"),
    ("k_test_", r"\b[sr]k_test_[A-Za-z0-9]{16,}"),
    ("whsec_", r"\bwhsec_[A-Za-z0-9+/=]{16,}"),
    ("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
    ("ASIA", r"\bASIA[0-9A-Z]{16}\b"),
    ("AIza", r"\bAIza[0-9A-Za-z_\-]{30,}"),
    ("ya29.", r"\bya29\.[0-9A-Za-z_\-]{20,}"),
    ("gh", r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{30,}"),
    ("glpat-", r"\bglpat-[A-Za-z0-9_\-]{18,}"),
    ("xox", r"\bxox[abeprs]-[A-Za-z0-9\-]{10,}"),
    ("xapp-", r"\bxapp-[A-Za-z0-9\-]{10,}"),
    ("hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    ("gsk_", r"\bgsk_[A-Za-z0-9]{30,}"),
    ("xai-", r"\bxai-[A-Za-z0-9]{30,}"),
    ("r8_", r"\br8_[A-Za-z0-9]{30,}"),
    ("pplx-", r"\bpplx-[A-Za-z0-9]{30,}"),
    ("tvly-", r"\btvly-[A-Za-z0-9\-]{16,}"),
    ("nvapi-", r"\bnvapi-[A-Za-z0-9_\-]{30,}"),
    ("lsv2_", r"\blsv2_[a-z]{2}_[A-Za-z0-9_]{30,}"),
    ("npm_", r"\bnpm_[A-Za-z0-9]{30,}"),
    ("pypi-", r"\bpypi-[A-Za-z0-9_\-]{30,}"),
    ("SG.", r"\bSG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,}"),
    ("eyJ", r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,}+\.eyJ[A-Za-z0-9_\-]{8,}+\.[A-Za-z0-9_\-]{8,}"),
    ("-----BEGIN", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"),
    ("earer ", rf"\b(?P<keep>[Bb]earer ){_DIGIT}[A-Za-z0-9_\-.=+/~]{{16,}}"),
    ("asic ", r"(?P<keep>uthorization[\"']?\s{0,4}:\s{0,4}[\"']?[Bb]asic )[A-Za-z0-9+/]{4,}={0,2}"),
    ("://", r"(?P<keep>://[^\s/:@\"']{0,64}:)[^\s/@\"']{1,256}(?=@)"),
    ("AccountKey=", rf"(?P<keep>AccountKey=){_VALUE}"),
    *(
        (mark, rf"(?P<keep>{mark}{_NAMED}{_VALUE}")
        for mark in (
            *("api_key", "API_KEY", "apiKey", "pi-key", "pi-Key", "assword", "ASSWORD", "asswd", "ASSWD"),
            *("ecret", "ECRET", "_token", "_TOKEN", "access_key", "ACCESS_KEY"),
        )
    ),
)


_Kind = tuple[str, re.Pattern[str], str]


def _kinds(marks: Iterable[str]) -> list[_Kind]:
    chosen = frozenset(marks)
    return [
        (mark, re.compile(pattern), rf"\g<keep>{REDACTED}" if "?P<keep>" in pattern else REDACTED)
        for mark, pattern in _MARKS
        if mark in chosen
    ]


_LONG = 15
"""From how many letters, digits, `_` and `-` on a word is long: no key that is one word is shorter."""
_BESIDE_LONG_WORDS = ("eyJ", "SG.", "ya29.", "whsec_")
"""Kinds that always have a long word, whose mark may stand outside of it."""
_NAMED_MARKS = tuple(mark for mark, pattern in _MARKS if _NAMED in pattern)
_OTHER_MARKS = ("-----BEGIN", "earer ", "asic ", "://", "AccountKey=")
_IN_LONG_WORDS = _kinds(mark for mark, _ in _MARKS if mark not in (*_BESIDE_LONG_WORDS, *_NAMED_MARKS, *_OTHER_MARKS))
_NEAR_LONG_WORDS = _kinds(_BESIDE_LONG_WORDS)
_NAMED_KINDS = _kinds(_NAMED_MARKS)
_OTHER_KINDS = [(kind, needed) for kind, needed in zip(_kinds(_OTHER_MARKS), ("K", " ", ":", "@", "="), strict=True)]
"""Each with a character that it cannot do without and that is rarer than its mark is long to look for."""
_LONG_RUN = b"\xff" * _LONG
_SHORTEST = 9
"""Characters of the shortest secret that can be told with what tells it: `://a:b@c`, `pwd`-like names with four more."""
_WORD_BYTES = bytes(0xFF if (chr(code).isalnum() and code < 128) or chr(code) in "_-" else 0 for code in range(256))


def redact_secrets(text: str) -> str:
    """`text` with API keys, tokens, private keys and passwords in URLs replaced.

    Most kinds of keys are one long word. One pass over the bytes tells whether there is any, and only in these words the
    marks of those kinds are looked for; the others need a character that is rare. Only where a mark is found its pattern
    runs: text without secrets costs few microseconds a KB.
    """
    if len(text) < _SHORTEST:
        return text
    flags = text.encode("ascii", "replace").translate(_WORD_BYTES)
    if _LONG_RUN in flags:
        words = "\n".join(_long_words(text, flags))
        for mark, pattern, replacement in _IN_LONG_WORDS:
            if mark in words:
                text = pattern.sub(replacement, text)
        for mark, pattern, replacement in _NEAR_LONG_WORDS:
            if mark in text:
                text = pattern.sub(replacement, text)
    for (mark, pattern, replacement), needed in _OTHER_KINDS:
        if needed in text and mark in text:
            text = pattern.sub(replacement, text)
    if "=" in text or ":" in text:
        lower = text.lower()
        if "key" in lower or "passw" in lower or "ecret" in lower or "_token" in lower:
            for mark, pattern, replacement in _NAMED_KINDS:
                if mark in text:
                    text = pattern.sub(replacement, text)
    return text


def _long_words(text: str, flags: bytes) -> Iterator[str]:
    at = flags.find(_LONG_RUN)
    while at >= 0:
        end = flags.find(b"\0", at + _LONG)
        yield text[at : end if end >= 0 else len(text)]
        at = flags.find(_LONG_RUN, end) if end >= 0 else -1


@lru_cache(maxsize=4096)
def _redact_short(text: str) -> str:
    """Names and dimensions, which come again and again."""
    return redact_secrets(text)


@lru_cache(maxsize=4096)
def _secret_length(name: str) -> int | None:
    """From how many characters a text under this name is a secret; None for a name that says nothing."""
    name = _CAMEL.sub("_", name[-64:]).replace("-", "_").replace(".", "_").lower()
    if _SECRET_NAME.search(name):
        return 1
    return _TOKEN_LENGTH if _TOKEN_NAME.search(name) else None


def _is_secret(name: str, value: object) -> bool:
    length = _secret_length(name)
    if length is None or value is None or type(value) is bool:
        return False
    if type(value) is str:
        return len(value) >= length and (length == 1 or " " not in value)
    return length == 1


class ContentPolicy:
    """Applies the `content` setting to each step: `full`, `truncated`, `hash` or `none`; always removes secrets.

    `truncated` cuts each string after `max_content` characters. `hash` replaces input and output by a BLAKE2b digest of
    their JSON (16 bytes, hexadecimal) and its length, so that equal payloads can be found. Names, dimensions, labels, errors
    and attributes are kept in every mode, with secrets removed.
    """

    def __init__(self, content: str = "truncated", max_content: int = 16_384) -> None:
        self.content = content
        self.max_content = max_content if content == "truncated" else None
        self._plain = _SHORTEST if self.max_content is None else min(_SHORTEST, self.max_content)
        """Texts shorter than this stay as they are."""

    def __call__(self, step: Step) -> None:
        if step.error is not None:
            step.error = redact_secrets(step.error)
        step.name = _redact_short(step.name)
        if step.session_id is not None:
            step.session_id = _redact_short(step.session_id)
        if step.user_id is not None:
            step.user_id = _redact_short(step.user_id)
        if step.tenant_id is not None:
            step.tenant_id = _redact_short(step.tenant_id)
        if step.labels:
            step.labels = {
                key: REDACTED if _is_secret(key, value) else _redact_short(value) for key, value in step.labels.items()
            }
        if step.attributes:
            step.attributes = self._clean(step.attributes)
        if self.content == "none":
            step.input = step.output = None
        elif self.content == "hash":
            step.input = _digest(step.input)
            step.output = _digest(step.output)
        else:
            if step.input is not None:
                step.input = self._clean(step.input)
            if step.output is not None:
                step.output = self._clean(step.output)

    def _clean(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            text = redact_secrets(value)
            if self.max_content is not None and len(text) > self.max_content:
                return f"{text[: self.max_content]}… [{len(text) - self.max_content} more characters]"
            return text
        if kind is dict:
            return {
                _redact_short(key) if len(key) > 16 else key: (
                    REDACTED
                    if _is_secret(key, item)
                    else item
                    if type(item) is str and len(item) < self._plain
                    else self._clean(item)
                )
                for key, item in value.items()
            }
        if kind is list:
            return [self._clean(item) for item in value]
        return value


def _digest(payload: Any) -> dict[str, Any] | None:
    if payload is None:
        return None
    data = dump_json(payload)
    return {"blake2b": blake2b(data, digest_size=16).hexdigest(), "bytes": len(data)}
