"""Replies of servers, read out of a byte stream."""

import pytest

from ums.mail.smtp.reply_parser import ReplyParser


@pytest.mark.parametrize(
    ("raw", "code", "enhanced", "text"),
    [
        (b"250 2.1.0 Ok\r\n", 250, "2.1.0", "Ok"),
        (b"250\r\n", 250, "", ""),
        (b"250 Ok\n", 250, "", "Ok"),
        (
            b"550-5.1.1 No such\r\n550-5.1.1 user\r\n550 5.1.1 here\r\n",
            550,
            "5.1.1",
            "No such user here",
        ),
        ("535 登录失败,请使用授权码\r\n".encode("gbk"), 535, "", "登录失败,请使用授权码"),
        ("535 登录失败\r\n".encode(), 535, "", "登录失败"),
        (b"550 caf\xe9\r\n", 550, "", "café"),
        (b"550 a\x00b\x1b[31mc\r\n", 550, "", "a\ufffdb\ufffd[31mc"),
        (b"250 5.1.10.3 is no code\r\n", 250, "", "5.1.10.3 is no code"),
        (b"550 " + b"x" * 3000 + b"\r\n", 550, "", "x" * 1000),
    ],
)
def test_replies_are_decoded_for_people(raw: bytes, code: int, enhanced: str, text: str) -> None:
    for step in (1, 7, len(raw)):
        parser = ReplyParser()
        found = [r for i in range(0, len(raw), step) for r in parser.feed(raw[i : i + step])]
        assert [(r.code, r.enhanced, r.text) for r in found] == [(code, enhanced, text)]
        assert (parser.error, parser.empty) == ("", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"250-a\r\n550 b\r\n",
        b"hello\r\n",
        b"\r\n",
        b"25\r\n",
        b"199 x\r\n",
        b"650 x\r\n",
        b"250x\r\n",
    ],
)
def test_garbage_is_told_from_replies(raw: bytes) -> None:
    parser = ReplyParser()
    assert parser.feed(b"220 fine\r\n" + raw)[0].code == 220
    assert parser.error
