"""Reads SMTP replies out of a byte stream (RFC 5321 section 4.2), trusting nothing in it."""

import re
from functools import lru_cache
from typing import Final

from ums.mail.outcomes import Reply

LINE_LIMIT: Final = 4_096  # octets; RFC 5321 section 4.5.3.1.5 asks for 512, servers overrun it
REPLY_LIMIT: Final = 65_536  # octets of one whole multi-line reply
TEXT_LIMIT: Final = 1_000  # characters that are kept for people

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ReplyParser:
    """Turns chunks into replies. After `error` is set the stream can not be trusted any more."""

    __slots__ = ("_code", "_parts", "_size", "_tail", "error", "lines")

    def __init__(self) -> None:
        self.error = ""
        self.lines: list[str] = []  # of the last multi-line reply, without codes
        self._tail = b""
        self._parts: list[bytes] = []
        self._code = b""
        self._size = 0

    @property
    def empty(self) -> bool:
        """True when no part of a reply is waiting for its rest."""
        return not self._tail and not self._parts

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes, up to the first violation (see `error`)."""
        lines = (self._tail + data).split(b"\n")
        self._tail = lines.pop()
        found: list[Reply] = []
        for raw in lines:
            reply = self._line(raw)
            if self.error:
                return found
            if reply is not None:
                found.append(reply)
        if len(self._tail) > LINE_LIMIT:
            self.error = "reply line longer than 4 kB"
        return found

    def _line(self, raw: bytes) -> Reply | None:
        if len(raw) > LINE_LIMIT:
            self.error = "reply line longer than 4 kB"
            return None
        if not self._parts and raw[3:4] != b"-":
            self.lines = []
            reply = _single(raw)
            if reply is None:
                self.error = "not an SMTP reply"
            return reply
        return self._continued(raw)

    def _continued(self, raw: bytes) -> Reply | None:
        match = _LINE.fullmatch(raw.rstrip(b"\r"))
        self._size += len(raw)
        if match is None or self._size > REPLY_LIMIT:
            self.error = "reply longer than 64 kB" if match else "not an SMTP reply"
            return None
        code, dash, text = match.groups(b"")
        if self._parts and code != self._code:
            self.error = "one reply with two codes"
            return None
        self._code = code
        self._parts.append(text)
        return None if dash == b"-" else self._complete()

    def _complete(self) -> Reply:
        reply = _reply(self._code, self._parts)
        self.lines = [decode(part) for part in self._parts]
        self._parts, self._code, self._size = [], b"", 0
        return reply


# Most replies of a session are the same few lines ("250 2.1.0 Ok"): parse each text once.
@lru_cache(maxsize=256)
def _single(raw: bytes) -> Reply | None:
    match = _LINE.fullmatch(raw.rstrip(b"\r"))
    return _reply(match[1], [match[3] or b""]) if match else None


def _reply(code: bytes, parts: list[bytes]) -> Reply:
    texts = [decode(part) for part in parts]
    first = _ENHANCED.match(texts[0])
    enhanced = first[1] if first else ""
    if enhanced:  # a multi-line reply repeats it on each line (RFC 2034 section 4)
        texts = [text.removeprefix(enhanced).lstrip() for text in texts]
    return Reply(int(code), enhanced, " ".join(texts).strip()[:TEXT_LIMIT])


def decode(raw: bytes) -> str:
    """`raw` as people read it: UTF-8, else GB18030 (QQ, NetEase), else Latin-1; no controls."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return _CONTROL.sub("\ufffd", raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _CONTROL.sub("\ufffd", raw.decode("latin-1"))
