"""Answers of the server itself, to requests that no handler sees: each door's in its format."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import msgspec

from ums.errors import UmsError

_ORIGIN: Final = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)


def write_refusal(error: UmsError, url: bytes, usual: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The whole answer that tells `error` to who asked for `url`, or for a part of it, with the
    `usual` headers of every answer."""
    path = path_of(url)
    content: dict[str, object] = {
        "code": error.code,
        "message": error.words(),
        "reason": error.reason,
    }
    media_type = "application/json"
    if path.startswith("/v1/user/"):
        content["data"] = ""  # as in every other error of user management
    elif f"{path}/".startswith("/api/"):
        media_type = "application/problem+json"
        content |= _problem(error)
    return _message(error, msgspec.json.encode(content), media_type, usual)


def path_of(url: bytes) -> str:
    """The path of a request line's target, which may be a whole URL."""
    target = url.partition(b"?")[0].decode("latin-1")
    return unquote(_ORIGIN.sub("", target))


def _problem(error: UmsError) -> dict[str, object]:
    return {
        "type": f"urn:ums:problem:{error.reason}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.words(),
    }


def _message(
    error: UmsError, body: bytes, media_type: str, usual: Sequence[tuple[bytes, bytes]]
) -> bytes:
    lines = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        f"content-type: {media_type}",
        f"content-length: {len(body)}",
        *(f"{name.decode()}: {value.decode()}" for name, value in usual),
        *(["retry-after: 1"] if error.status == 503 else []),
        "connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
