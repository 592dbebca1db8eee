"""Forms that the model server receives: multipart bodies, in which files come."""

from __future__ import annotations

from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

__all__ = ["FORM", "MAX_FORM_BYTES", "read_form"]

FORM = "multipart/form-data"
MAX_FORM_BYTES = 32 * 1024 * 1024
"""Providers take less, such as 25 MB of sound."""
MAX_FIELDS = 1_000


def read_form(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields by name: text, or of a file `{"filename", "content_type", "bytes"}` with its size in bytes.

    A field that is there more than once, or whose name ends in `[]`, is a list. Raises `ValueError` for what is no form, or
    a larger one than is read.
    """
    if len(body) > MAX_FORM_BYTES:
        raise ValueError(f"a form of {len(body)} bytes, and at most {MAX_FORM_BYTES} are read")
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise ValueError("no part of it begins with the boundary")
    fields: dict[str, Any] = {}
    for count, part in enumerate(message.iter_parts()):
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise ValueError("a part has no name")
        if count >= MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} parts")
        _add(fields, name, _value(part))
    return fields


def _value(part: MIMEPart) -> Any:
    content = part.get_payload(decode=True)
    content = content if isinstance(content, bytes) else b""
    filename = part.get_filename()
    if filename is None:
        return content.decode("utf-8", "replace")
    return {"filename": filename, "content_type": part.get_content_type(), "bytes": len(content)}


def _add(fields: dict[str, Any], name: str, value: Any) -> None:
    if name.endswith("[]"):
        fields.setdefault(name.removesuffix("[]"), []).append(value)
    elif name not in fields:
        fields[name] = value
    else:
        known = fields[name]
        fields[name] = [*(known if isinstance(known, list) else [known]), value]
