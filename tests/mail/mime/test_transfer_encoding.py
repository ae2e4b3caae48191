"""Encoding in pieces: whatever the pieces are, a reader gets the joined text back."""

from email import message_from_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ums.mail.mime.transfer_encoding import Base64, Encoder, QuotedPrintable, encoder, quoted_lines

CHUNKS = [".", "..", "\n", "\n.\n", " \n", "\t", "=", "=\n", "用户", "😀", "é", "x" * 76, "y" * 75,
          "长" * 40, "<p>", "From ", "a b ", " " * 80, "&amp;", "\u2028"]  # fmt: skip
texts = st.lists(st.sampled_from(CHUNKS) | st.text(st.characters(exclude_categories=("Cs",),
                 exclude_characters="\r"), max_size=30), max_size=8).map("".join)  # fmt: skip


@st.composite
def mails(draw: st.DrawFn) -> tuple[list[str], list[int | str]]:
    """Static texts, and pieces that use them."""
    static = draw(st.lists(texts, max_size=4))
    numbers = st.integers(0, len(static) - 1) if static else st.nothing()
    return static, draw(st.lists(numbers | texts, max_size=8))


def unstuffed(raw: bytes) -> bytes:
    lines = raw.split(b"\r\n")
    assert not [line for line in lines if line.startswith(b".") and not line.startswith(b"..")]
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


def decoded(made: Encoder, pieces: list[int | str]) -> str:
    raw = made.encode(pieces)
    assert raw.endswith(b"\r\n")
    assert raw.isascii()
    body = unstuffed(raw)
    assert max(map(len, body.split(b"\r\n"))) <= 76
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + made.name
    payload = message_from_bytes(head + b"\r\n\r\n" + body).get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.count(b"\n") == payload.count(b"\r\n")
    return payload.decode().replace("\r\n", "\n")


@pytest.mark.slow
@given(mails())
@settings(max_examples=500, deadline=None)
@example((["a", ""], [0, 1]))
@example(([], []))
@example((["\n"], [0, "", "."]))
@example((["x" * 75 + " "], [0, "\n"]))
def test_pieces_come_back_as_one_text(mail: tuple[list[str], list[int | str]]) -> None:
    static, pieces = mail
    whole = "".join(static[piece] if isinstance(piece, int) else piece for piece in pieces)
    whole = whole if whole.endswith("\n") else whole + "\n"
    for made in (QuotedPrintable(static), Base64(static)):
        assert decoded(made, pieces) == whole


@pytest.mark.parametrize(
    ("text", "name"), [("Hello", b"quoted-printable"), ("你好，张三" * 20, b"base64")]
)
def test_the_shorter_encoding_is_chosen(text: str, name: bytes) -> None:
    assert encoder([text]).name == name


@given(texts)
@example("x" * 75 + " \n" + "y" * 74 + "\t\n")
def test_no_line_is_longer_than_76(text: str) -> None:
    assert max(map(len, quoted_lines(text.encode()).split(b"\r\n"))) <= 76
