"""Mail header fields: text into RFC 2047 words, and blocks that are checked after serialising.

Nothing here trusts the standard library's folding: CPython 3.11.7 turned an encoded newline in a
Subject into a real `Bcc:` line. A field is written by hand, and the finished block is read again
by two readers (ours and the library's), whose field names must equal the plan.
"""

import binascii
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from email import policy
from email.parser import BytesHeaderParser
from enum import IntEnum

from ums.errors import Detail


class BadContent(ValueError):
    """The content cannot be sent as mail; the detail says what to change."""

    def __init__(self, detail: Detail) -> None:
        super().__init__(detail)
        self.detail = detail


class Slot(IntEnum):
    """A place in a skeleton that is filled per recipient; the number indexes the values."""

    MESSAGE_ID = 0
    DATE = 1
    TO = 2
    SUBJECT = 3
    TEXT = 4
    HTML = 5


Piece = bytes | Slot
Field = tuple[str, tuple[Piece, ...]]

LINE_LIMIT = 998  # octets without CRLF, RFC 5322 section 2.1.1
FOLD = 76  # columns, RFC 2047 section 2
_WORD = 75  # octets of one encoded word, RFC 2047 section 2
_OPEN_B, _OPEN_Q, _CLOSE = "=?utf-8?B?", "=?utf-8?Q?", "?="
_WORD_FRAME = len(_OPEN_B) + len(_CLOSE)

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED = re.compile(r"=\?([^?]*)\?([bq])\?(?=(.*?)\?=)", re.IGNORECASE | re.DOTALL)
_Q_CONTROL = re.compile(r"=\s*(?:[01][0-9a-f]|7f)", re.IGNORECASE)
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")  # printable ASCII words, single blanks between
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NAME = re.compile(rb"([!-9;-~]+):")  # RFC 5322 section 3.6.8
_LIBRARY = BytesHeaderParser(policy=policy.compat32)


def has_control(text: str) -> bool:
    """Whether `text` holds C0/C1 controls, U+2028/2029 or lone surrogates, open or encoded.

    Encoded words are decoded too, several layers deep: our own output shows them literally, but
    a reader that decodes once too often must not find a line break either.
    """
    for _ in range(4):
        if _CONTROL.search(text):
            return True
        if "=?" not in text:
            return False
        if "?q?" in text.lower() and _Q_CONTROL.search(text):
            return True
        text = " ".join(_decode_word(*found) for found in _ENCODED.findall(text))
    return "=?" in text or bool(_CONTROL.search(text))  # deeper than any honest text nests


def _decode_word(charset: str, encoding: str, payload: str) -> str:
    raw = payload.encode("utf-8", "replace")
    raw = _decode_base64(raw) if encoding in "bB" else binascii.a2b_qp(raw, header=True)
    if b"\n" in raw or b"\r" in raw:
        return "\n"  # whatever the charset says: another reader may take the octets as they are
    try:
        return raw.decode(charset.partition("*")[0], "replace")  # RFC 2231: charset*language
    except (LookupError, ValueError):
        return raw.decode("latin-1")  # unknown charset: judge the bytes themselves


def _decode_base64(raw: bytes) -> bytes:
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    usable = len(letters) - (len(letters) % 4 == 1)  # one letter alone holds no whole octet
    return binascii.a2b_base64(letters[:usable] + b"=" * (-usable % 4))


def text_value(name: str, text: str) -> bytes:
    """The value of the unstructured field `name`, folded (RFC 5322 section 2.2.3).

    Plain ASCII stays readable. Everything else, also text that merely looks like an encoded
    word, becomes encoded words as a whole, so that every reader gets `text` back exactly.
    """
    room = FOLD - len(name) - 2
    if _PLAIN.fullmatch(text) and "=?" not in text:
        lines = fold_words(text.split(" "), room)
        if all(len(line) < FOLD for line in lines):
            return "\r\n ".join(lines).encode()
    return "\r\n ".join(encoded_words(text, room)).encode()


def fold_words(words: Sequence[str], room: int) -> list[str]:
    """`words` in lines of at most 76 columns, the first of which has `room` (section 2.2.3)."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= (room if len(lines) == 1 else FOLD - 1):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def mailbox_value(name: str, display: str, address: str) -> bytes:
    """The value of the field `name` holding one mailbox (RFC 5322 section 3.4).

    `display` and `address` are already cleaned. A non-ASCII local part stays raw UTF-8, for
    which the transaction needs SMTPUTF8 (RFC 6532).
    """
    if not display:
        return address.encode()
    room = FOLD - len(name) - 2
    phrase = _phrase(display, room)
    last = phrase.rpartition("\r\n")[2]
    gap = " " if len(last) + len(address) + 3 <= room else "\r\n "
    return f"{phrase}{gap}<{address}>".encode()


def _phrase(display: str, room: int) -> str:
    if "=?" not in display and len(display) <= room:
        if _ATOMS.fullmatch(display):
            return display
        if _PLAIN.fullmatch(display):
            return quoted(display)
    return "\r\n ".join(encoded_words(display, room))


def quoted(text: str) -> str:
    """`text`, printable ASCII, as a quoted-string (RFC 5322 section 3.2.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encoded_words(text: str, room: int = FOLD - 1) -> list[str]:
    """`text` as RFC 2047 words, one per line; `room` is what the first line has left.

    B or Q, whichever is shorter. A character is never split between two words (section 5),
    because Outlook and older QQ clients decode word by word.
    """
    raw = text.encode()
    q_length = sum(map(_q_cost, raw))
    if q_length <= (len(raw) + 2) // 3 * 4:
        chunks = _chunks(text, lambda char: sum(map(_q_cost, char)), lambda free: free, room)
        return [_OPEN_Q + "".join(map(_q_octet, chunk)) + _CLOSE for chunk in chunks]
    chunks = _chunks(text, len, lambda free: free // 4 * 3, room)
    return [_OPEN_B + b64encode(chunk).decode() + _CLOSE for chunk in chunks]


def _chunks(
    text: str, cost: Callable[[bytes], int], limit: Callable[[int], int], room: int
) -> Iterable[bytes]:
    chunk, used, most = bytearray(), 0, limit(min(room, _WORD) - _WORD_FRAME)
    for char in text:
        octets = char.encode()
        price = cost(octets)
        if used + price > most:
            yield bytes(chunk)
            chunk, used, most = bytearray(), 0, limit(_WORD - _WORD_FRAME)
        chunk += octets
        used += price
    yield bytes(chunk)


def _q_cost(octet: int) -> int:
    return 1 if octet in _Q_SAFE or octet == 32 else 3


def _q_octet(octet: int) -> str:
    if octet == 32:
        return "_"
    return chr(octet) if octet in _Q_SAFE else f"={octet:02X}"


def block(fields: Sequence[Field]) -> list[Piece]:
    """The fields as one header block, each line ended by CRLF, without the empty line.

    Raises BadContent when the block, read again, does not hold exactly the planned fields.
    """
    pieces: list[Piece] = []
    for name, value in fields:
        pieces += [f"{name}: ".encode(), *value, b"\r\n"]
    sample = b"".join(b"slot" if isinstance(piece, Slot) else piece for piece in pieces)
    check_block(sample, [name for name, _ in fields])
    return pieces


def check_block(raw: bytes, names: Sequence[str]) -> None:
    """Raise BadContent unless `raw` reads as exactly the fields `names`, in that order."""
    found: list[str] = []
    *lines, end = raw.split(b"\r\n")
    for line in lines:
        if not line.strip() or b"\r" in line or b"\n" in line or len(line) > LINE_LIMIT:
            raise BadContent(Detail("mail_stray_line"))
        if line[:1] not in (b" ", b"\t"):
            start = _NAME.match(line)
            found.append(start[1].decode() if start else "")
    library = _LIBRARY.parsebytes(raw + b"\r\n").keys()
    if end or found != list(names) or library != list(names):
        raise BadContent(Detail("mail_own_header"))
