"""Requests as certain clients write them, byte by byte."""

import json
from typing import Any


def raw(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    """A request with these header lines and no others but Content-Length and Connection."""
    lines = [f"{method} {path} HTTP/1.1", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + (body or b"")


def go_json(value: Any) -> bytes:
    """JSON as Go's encoder writes it: compact, and with the marks of HTML escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text.encode()
