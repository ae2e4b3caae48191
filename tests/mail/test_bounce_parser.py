"""What letters that come back say, of the field and of those who would harm us."""

import random
import time

import pytest

from support import letters
from ums.mail import bounce_parser
from ums.mail.bounce_parser import MOST, means, read, worth_reading
from ums.mail.outcomes import Reply, Stage, Verdict

ID = "1f.0123456789abcdef0123@sender.example"


def head(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@pytest.mark.parametrize("headers_alone", [False, True])
@pytest.mark.parametrize(
    ("words", "status", "code", "enhanced", "reason"),
    [
        ("550 5.1.1 <a@b.example>: user unknown", "5.1.1", 550, "5.1.1", "no_such_mailbox"),
        ("550 Mailbox not found. http://service.mail.qq.com", "5.0.0", 550, "5.0.0", None),
        ("552 5.2.2 mailbox full", "5.2.2", 552, "5.2.2", "mailbox_full"),
        ("554 5.7.1 message content rejected as spam", "5.7.1", 554, "5.7.1", "policy"),
        ("connect to x.example: Connection timed out", "4.4.1", 450, "4.4.1", "not_delivered"),
        ("451 4.7.1 greylisted, please try again", "4.7.1", 451, "4.7.1", "not_delivered"),
        ("unknown user", "5.1.1", 550, "5.1.1", "no_such_mailbox"),
    ],
)
def test_a_report_of_a_failure(
    words: str, status: str, code: int, enhanced: str, reason: str | None, *, headers_alone: bool
) -> None:
    raw = letters.report(ID, words, status=status, headers_alone=headers_alone)
    letter = read(raw)
    assert letter is not None
    assert (letter.kind, letter.message_ids) == ("failed", (ID,))
    assert (letter.reply.code, letter.reply.enhanced) == (code, enhanced)
    assert letter.reply.text == words
    outcome = means(letter)
    assert (outcome.verdict, outcome.stage) == (Verdict.REFUSED, Stage.AFTER)
    assert reason is None or outcome.reason == reason
    assert worth_reading(head(raw))


def test_a_folded_field_is_one_line() -> None:
    words = "550 5.1.1 <a@b.example>:\n    Recipient address rejected:\n\tUser unknown"
    letter = read(letters.report(ID, words, status="5.1.1"))
    assert letter is not None
    told = "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown"
    assert letter.reply.text == told


def test_a_reply_is_one_line_whoever_tells_it() -> None:
    assert (
        bounce_parser.reply_of("550 no\r\n such\tuser\x00\u2028").text
        == "550 no such user\ufffd\ufffd"
    )
    assert Reply(550, "", "你好\u3000a\n\nb").text == "你好\u3000a b"


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("delayed", "delayed"),
        ("Delivered", "delivered"),
        ("relayed", "delivered"),
        ("expanded", "delivered"),
        ("something else", "delayed"),
    ],
)
def test_a_report_of_something_else(action: str, kind: str) -> None:
    letter = read(letters.report(ID, "450 later", status="4.4.1", action=action))
    assert letter is not None
    assert (letter.kind, letter.message_ids) == (kind, (ID,))


def test_the_worst_of_several_recipients_counts() -> None:
    block = b"Final-Recipient: rfc822; b@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    raw = letters.report(ID, "450 later", status="4.4.1", action="delayed")
    raw = raw.replace(b"Final-Recipient", block + b"Final-Recipient", 1)
    letter = read(raw)
    assert letter is not None
    assert (letter.kind, letter.reply.enhanced) == ("failed", "5.1.1")


@pytest.mark.parametrize(
    ("words", "kind", "reason"),
    [
        ("550 Mailbox not found", "failed", "no_such_mailbox"),
        ("550 User not found: nobody@163.com", "failed", "no_such_mailbox"),
        ("552 Mailbox is full", "failed", "mailbox_full"),
        ("5.1.1 user unknown", "failed", "no_such_mailbox"),
        ("451 try again later", "delayed", None),
        ("nothing that anybody understands", "delayed", None),
    ],
)
def test_a_postmasters_own_words(words: str, kind: str, reason: str | None) -> None:
    raw = letters.qq(ID, words)
    letter = read(raw)
    assert letter is not None
    assert (letter.kind, letter.message_ids) == (kind, (ID,))
    assert reason is None or means(letter).reason == reason
    assert worth_reading(head(raw))


def test_complaints_and_answers() -> None:
    for raw, kind in ((letters.complaint(ID), "complaint"), (letters.answer(ID), "answered")):
        letter = read(raw)
        assert letter is not None
        assert (letter.kind, letter.message_ids[0]) == (kind, ID)
        assert worth_reading(head(raw))


def test_what_is_none_of_ours_is_not_read() -> None:
    letter = b"From: a@b.example\r\nSubject: Hello\r\n\r\nText <1f.0@x.example>\r\n"
    assert read(letter) is None
    assert not worth_reading(head(letter))


def test_two_letters_have_two_digests() -> None:
    one, again, other = (read(raw) for raw in (letters.complaint(ID),) * 2 + (letters.answer(ID),))
    assert one is not None
    assert again is not None
    assert other is not None
    assert one.digest == again.digest != other.digest


def nested(depth: int) -> bytes:
    parts = [
        f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(depth)
    ]
    return "".join(parts).encode()


HOSTILE = {
    "nothing": b"",
    "no headers": b"\r\n\r\n\r\n",
    "nuls": b"\x00" * 5000,
    "deep": nested(3000),
    "many parts": nested(1) + b"--b0\r\n\r\nx\r\n" * 20_000,
    "many headers": b"X: y\r\n" * 40_000,
    "a long header": b"References: " + b"<a@b> " * 40_000 + b"\r\n\r\n",
    "a long line": b"From: postmaster@x.example\r\n\r\n" + b"550 " * 60_000,
    "tags": b"From: postmaster@x\r\nContent-Type: text/html\r\n\r\n" + b"<a " * 80_000,
    "a wrong charset": letters.qq(ID, "550 no").replace(b"gb18030", b"no-such-charset"),
    "a wrong encoding": letters.qq(ID, "550 no").replace(b"8bit", b"base64"),
    "a coded header": b"From: =?utf-8?b?////?= <postmaster@x>\r\nReferences: =?x?q?a?=\r\n\r\n",
    "a report in a report": letters.report(ID).replace(b"Text.", letters.report("other@x.example")),
    "a code of many digits": letters.report(ID, "5" * 4000, status="9.9.9"),
    "a truncated report": letters.report(ID)[:500],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_letters_end_soon_and_well(name: str) -> None:
    raw = HOSTILE[name]
    began = time.process_time()
    try:
        letter = read(raw)
        worth_reading(raw[:65536])
    except RecursionError:  # the mailbox goes on with the next one
        letter = None
    assert time.process_time() - began < 5
    if letter is not None:
        assert len(letter.message_ids) <= 20
        assert len(letter.reply.text) <= 1000
        if letter.kind == "failed":
            means(letter)


def test_damaged_letters_end_well() -> None:
    chance = random.Random(7)
    good = [letters.report(ID), letters.qq(ID, "550 no"), letters.complaint(ID), letters.answer(ID)]
    for _ in range(2000):
        raw = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 20)):
            place = chance.randrange(len(raw))
            raw[place : place + chance.randint(0, 8)] = bytes(
                chance.randrange(256) for _ in range(chance.randint(0, 8))
            )
        letter = read(bytes(raw))
        if letter is not None and letter.kind == "failed":
            means(letter)


def test_no_more_than_so_much_is_read() -> None:
    raw = b"From: postmaster@x\r\nReferences: <a@b>\r\n\r\n" + b"x" * MOST + b"\r\n550 no such user"
    letter = read(raw)
    assert letter == bounce_parser.read(raw[:MOST])
    assert letter is not None
    assert letter.kind == "delayed"
