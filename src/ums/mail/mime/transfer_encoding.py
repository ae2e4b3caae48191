"""Transfer encodings for texts that are mostly the same for every recipient.

A text is a list of pieces: numbers of static texts, which were encoded once, and values, which are
encoded as they come. The encoded pieces are joined and nothing is looked at twice. The result
ends in CRLF, is dot-stuffed (RFC 5321 section 4.5.2) and decodes to the joined text with CRLF
line ends and one at its end.
"""

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from typing import ClassVar, Protocol

Pieces = Sequence[int | str]
_SHORT = re.compile(r"[ !-<>-~]{1,75}", re.ASCII).fullmatch  # fits one line as it is
_OVERLONG = re.compile(rb"^(.{74,75})(=20|=09)$", re.MULTILINE)
_LINE = 57  # octets that become 76 characters of base64
_SOFT = b"=\r\n"


class Encoder(Protocol):
    """One text's encoding."""

    name: ClassVar[bytes]
    """What the Content-Transfer-Encoding says."""

    def encode(self, pieces: Pieces) -> bytes: ...


def encoder(texts: Sequence[str]) -> Encoder:
    """Quoted-printable or base64, whichever is shorter for these static texts."""
    quoted = QuotedPrintable(texts)
    wired = sum(len(text.encode()) + text.count("\n") for text in texts)
    return quoted if quoted.size <= (wired + 2) // 3 * 4 * 78 // 76 else Base64(texts)


class QuotedPrintable:
    """RFC 2045 section 6.7. Each piece that does not end a line ends in a soft break, so that the
    next one starts at the first column, whatever it is."""

    name: ClassVar[bytes] = b"quoted-printable"

    def __init__(self, texts: Sequence[str]) -> None:
        self._static = [_quoted(text) for text in texts]

    @property
    def size(self) -> int:
        return sum(map(len, self._static))

    def encode(self, pieces: Pieces) -> bytes:
        static = self._static
        made = [static[piece] if isinstance(piece, int) else _value(piece) for piece in pieces]
        last = next((piece for piece in reversed(made) if piece), _SOFT)
        if last.endswith(_SOFT):  # "=" itself is always written =3D
            made.append(b"\r\n")
        return b"".join(made)


def quoted_lines(raw: bytes) -> bytes:
    """`raw`, whose lines end in LF, as quoted-printable with CRLF and lines of at most 76."""
    lines = b2a_qp(raw, istext=True)
    # The library breaks lines before it encodes the blank at their end: up to 78 characters.
    return _OVERLONG.sub(rb"\1=\n\2", lines).replace(b"\n", b"\r\n")


def _value(text: str) -> bytes:
    if _SHORT(text):
        return (b"." if text[0] == "." else b"") + text.encode() + _SOFT
    return _quoted(text)


def _quoted(text: str) -> bytes:
    if not text:
        return b""
    # With a letter after it the last line is broken as any other, and a blank at its end stays.
    lines = quoted_lines(text.encode() + b"x")[:-1]
    if not lines.endswith(b"\r\n"):
        lines += _SOFT
    stuffed = lines.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


class Base64:
    """RFC 2045 section 6.8. Three octets make four characters, so each static text is encoded for
    each number of octets that may be left over before it; only its ends are joined to values."""

    name: ClassVar[bytes] = b"base64"

    def __init__(self, texts: Sequence[str]) -> None:
        self._static = [_Cut(_wired(text)) for text in texts]

    def encode(self, pieces: Pieces) -> bytes:
        made: list[bytes] = []
        rest, last = b"", b""
        for piece in pieces:
            if isinstance(piece, str):
                last = _wired(piece) or last
                rest += _wired(piece)
                continue
            cut = self._static[piece]
            head, body, tail = cut.after(len(rest) % 3)
            rest += head
            last = cut.whole or last
            if body:
                made += [_base64(rest), body]
                rest = tail
        rest += b"" if last.endswith(b"\r\n") else b"\r\n"
        return b"".join([*made, _base64(rest)])


class _Cut:
    """A static text: the octets that go to what is before it, whole lines, and what is left."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        self._ways = [self._cut(before) for before in range(3)]

    def after(self, before: int) -> tuple[bytes, bytes, bytes]:
        """How it goes on when `before` octets are left over."""
        return self._ways[before]

    def _cut(self, before: int) -> tuple[bytes, bytes, bytes]:
        start = -before % 3
        end = start + (len(self.whole) - start) // 3 * 3
        if end - start < _LINE:  # too short to gain anything
            return self.whole, b"", b""
        return self.whole[:start], _base64(self.whole[start:end]), self.whole[end:]


def _wired(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _base64(raw: bytes) -> bytes:
    lines = [b2a_base64(raw[at : at + _LINE], newline=False) for at in range(0, len(raw), _LINE)]
    return b"\r\n".join([*lines, b""]) if lines else b""
