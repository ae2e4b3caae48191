"""The rendered mail, read back by two readers: the library's new one and its old one."""

import re
import time
from base64 import b64encode
from collections.abc import Callable
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import collapse_rfc2231_value, parsedate_to_datetime

import pytest

from ums.mail.addresses import BadAddress
from ums.mail.mime import headers
from ums.mail.mime.builder import BadContent, File, MimeContent, MimeTemplate, check_subject
from ums.mail.mime.headers import Slot

WHEN = 1_790_000_000_123
PLAN = ["Message-ID", "Date", "From", "To", "Subject", "MIME-Version", "Auto-Submitted"]
TEXT_PLAN = ["Content-Type", "Content-Transfer-Encoding"]
HEADER_LINES = [
    "a\nBcc: x@y.zz", "a\r\nBcc: x@y.zz", "a\rBcc: x@y.zz", "a\r\n\r\nbody", "\na", "a\n", "a\x0bb",
    "a\x0cb", "a\x1cb", "a\0b", "a\tb", "a\x7f", "a\x85Bcc: x@y.zz", "a\u2028Bcc: x@y.zz",
    "a\u2029b", "a\ud83d", "=?utf-8?q?a=0ABcc=3A_x=40y.zz?=", "=?utf-8?Q?=0d=0aBcc:x@y.zz?=",
    "=?utf-8?b?YQpCY2M6IHhAeS56eg==?=", "=?utf-8?B?YQpCY2M6IHhAeS56eg?=", "=?UTF-8*en?q?=0A?=",
    "x =?utf-8?q?a?= =?utf-8?q?=0A?= y", "=?utf-7?q?+AAo-?=", "=?utf-16?B?AAoA?=", "=?no?q?=0A?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3F=3D0A=3F=3D?=", "=?utf-8?q?=E2=80=A8?=", "=?utf-8?q??=0A?=",
]  # fmt: skip


def mail(content: MimeContent, to: str = "user@x.test", **options: object) -> bytes:
    settings = {"from_address": "bill@corp.cn", "from_name": "", "auto_submitted": True, **options}
    skeleton = MimeTemplate.build(content, **settings)  # type: ignore[arg-type]
    return skeleton.render(to=to, message_id="d.17@mail.corp.cn", date=WHEN)


def unstuffed(raw: bytes) -> bytes:
    """What a server keeps of the DATA octets (RFC 5321 section 4.5.2); checks the wire form."""
    lines = raw.split(b"\r\n")
    assert lines.pop() == b""
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert b"." not in lines  # the end of data
    assert not [line for line in lines if line.startswith(b".") and not line.startswith(b"..")]
    return b"\r\n".join(line.removeprefix(b".") for line in lines) + b"\r\n"


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(unstuffed(raw), policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not [part.defects for part in message.walk() if part.defects]
    return message


def parsed_of_old(raw: bytes) -> Message:
    return message_from_bytes(unstuffed(raw))


def text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8").replace("\r\n", "\n")


def decoded(value: object) -> str:
    return str(make_header(decode_header(str(value))))


def test_a_plain_mail_has_exactly_the_planned_headers() -> None:
    message = parsed(mail(MimeContent("Your bill", "Dear user,\nit is ready.\n"), from_name="Corp"))
    assert message.keys() == PLAN + TEXT_PLAN
    assert message["Message-ID"] == "<d.17@mail.corp.cn>"
    assert message["From"] == "Corp <bill@corp.cn>"
    assert message["To"] == "user@x.test"
    assert message["Subject"] == "Your bill"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Mon, 21 Sep 2026 14:13:20 +0000"
    assert parsedate_to_datetime(message["Date"]).timestamp() == WHEN // 1000
    assert message.get_content_type() == "text/plain"
    assert text_of(message) == "Dear user,\nit is ready.\n"


def test_broadcasts_do_not_claim_to_be_automatic_answers() -> None:
    message = parsed(mail(MimeContent("s", "t"), auto_submitted=False))
    assert "Auto-Submitted" not in message


SUBJECTS = [
    "Hello", " leading and trailing ", "two  blanks", "x" * 998, "word " * 199 + "end", "账单",
    "您的九月账单已经生成，请及时查收" * 20, "𠮷野家😀👩‍👧 𝒳" * 20, "Café crème à volonté " * 20,
    "=?utf-8?q?abc?=", "a =?utf-8?B?5L2g?= b", "=?", "?=", "a?=b=?c", "_=_", "50% = half; <b>",
    "\u00a0", " ", "a\u00adb\u200b", "é" * 499, "用" * 332, "Re: [x] (y) \"z\" 'w' \\",
    "مرحبا بالعالم", "ﷺ" * 100, "a" * 70 + "用", "用 户 通 知 " * 30,
]  # fmt: skip


@pytest.mark.parametrize("subject", SUBJECTS, ids=ascii)
def test_subjects_come_back_exactly(subject: str) -> None:
    raw = mail(MimeContent(subject, "t"))
    assert parsed(raw).keys() == PLAN + TEXT_PLAN
    assert decoded(parsed_of_old(raw)["Subject"]).replace("\r\n", "") == subject
    if subject.strip():
        assert parsed(raw)["Subject"].strip() == subject.strip()


@pytest.mark.parametrize("subject", SUBJECTS, ids=ascii)
def test_encoded_words_are_short_and_hold_whole_characters(subject: str) -> None:
    value = headers.text_value("Subject", subject).decode("ascii")
    lines = ("Subject: " + value).split("\r\n ")
    assert all(len(line) <= 75 for line in lines[1:])
    assert len(lines[0]) <= 76
    if "=?utf-8?" in value:
        words = value.split("\r\n ")
        assert all(re.fullmatch(r"=\?utf-8\?[BQ]\?[!-~]+\?=", word) for word in words)
        assert "".join(decoded(word) for word in words) == subject


@pytest.mark.parametrize("subject", ["", "x" * 999, "用" * 333, *HEADER_LINES], ids=ascii)
def test_subjects_that_are_no_subject_are_refused(subject: str) -> None:
    with pytest.raises(BadContent):
        check_subject(subject)
    with pytest.raises(BadContent):
        mail(MimeContent(subject, "t"))


def test_words_nested_deeper_than_we_look_are_refused() -> None:
    subject = "\n"
    for _ in range(6):
        subject = f"=?utf-8?b?{b64encode(subject.encode()).decode()}?="
        with pytest.raises(BadContent):
            check_subject(subject)


NAMES = [
    "Corp", "Corp Ltd.", "Doe, John", 'Bob "B" O\'X', "a\\b", "张三", "张三 <x@y.zz>", "A <x@y.zz>",
    "x@y.zz,", "用" * 85, "w " * 100 + "w", "=?utf-8?q?abc?=", "é", "😀", "(comment)", "a:b;c",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_sender_names_never_become_addresses(name: str) -> None:
    raw = mail(MimeContent("s", "t"), from_name=name)
    assert parsed(raw).keys() == PLAN + TEXT_PLAN
    assert [box.addr_spec for box in parsed(raw)["From"].addresses] == ["bill@corp.cn"]
    shown = parsed(raw)["From"].addresses[0].display_name
    assert shown.replace(" ", "") == name.replace(" ", "")  # 3.11 keeps blanks between the words
    old = str(parsed_of_old(raw)["From"]).replace("\r\n", "").rpartition(" <")[0]
    if "=?" in old:
        assert decoded(old) == name


@pytest.mark.parametrize("text", HEADER_LINES, ids=ascii)
def test_sender_names_and_addresses_inject_nothing(text: str) -> None:
    with pytest.raises(BadAddress):
        mail(MimeContent("s", "t"), from_name=text)
    for address in (text, f"{text}@x.test", f"a@x.test{text}"):
        with pytest.raises(BadAddress):
            mail(MimeContent("s", "t"), from_address=address)
        with pytest.raises(ValueError, match="recipient"):
            mail(MimeContent("s", "t"), to=address)


@pytest.mark.parametrize(
    "bad", ["", "a", "<a@b>", "a@b\r\nBcc: x", "a b@c", "a@b>", "a@b\n", "é@b"]
)
def test_message_ids_are_checked_per_mail(bad: str) -> None:
    skeleton = MimeTemplate.build(MimeContent("s", "t"), from_address="a@b.cd", auto_submitted=True)
    with pytest.raises(ValueError, match="message id"):
        skeleton.render(to="a@b.cd", message_id=bad, date=WHEN)


def test_only_a_local_part_beyond_ascii_makes_mail_8_bit() -> None:
    content = MimeContent(
        "账单 😀", "你好 " * 900, (File("账单.pdf", "application/pdf", b"\xff\0"),)
    )
    assert mail(content, from_name="公司").isascii()
    raw = mail(content, to="张三@x.test")
    assert [line for line in raw.split(b"\r\n") if not line.isascii()] == [
        "To: 张三@x.test".encode()
    ]
    options = {"from_address": "用@x.test", "auto_submitted": True}
    assert MimeTemplate.build(content, **options).utf8  # type: ignore[arg-type]
    assert "用@x.test".encode() in mail(content, **options)


BODIES = [
    "", "\n", "a", "a\n", "a\n\n\n", ".", ".\n", "..\n.\n.a\n", "\n.\nMAIL FROM:<x@y.zz>\n",
    "é\n.\né",
    "x" * 5000, "用" * 5000, ("x" * 75 + "\n") * 20, "x" * 75 + ".", "x" * 76 + ".\n.",
    "." * 3000,
    "trailing \t \nblank ", "=\n==\n=3D", "From me\nFrom you",
    "tab\there",
    "nul\0bell\x07",
    "😀" * 300, "你好，世界。\n" * 300, "naïve\n" * 50,
    "\u2028\u2029\x85\x0b\x0c", "--\n--=_mixed_",
    "1 < 2 and 3 > 2", "<user@x.test>", "<https://x.test>", "List<String>", "&nbsp;&amp;",
    "\ufeffa",
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body)[:30])
def test_plain_bodies_come_back(body: str) -> None:
    for files in ((), (File("a.txt", "text/plain", b".\n"),)):
        message = parsed(mail(MimeContent("s", body, files)))
        first = next(part for part in message.walk() if not part.is_multipart())
        assert first.get_content_type() == "text/plain"
        assert text_of(first) == (body if body.endswith("\n") else body + "\n")


SMUGGLED = [
    f"one{end}MAIL FROM:<evil@x.test>\r\nRCPT TO:<v@x.test>\r\nDATA\r\nSubject: two\r\n\r\nhi{end}"
    for end in (
        "\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n",
        "\r\r\n.\r\r\n", "\n\n.\n\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\x85.\x85", "\u2028.\u2028",
        "\r\n..\r\n", "\n\r.\n\r", "\x0b.\x0b", "\r\n.\r\n.\r\n", "\n..\n",
    )
]  # fmt: skip


@pytest.mark.parametrize("text", SMUGGLED, ids=lambda text: ascii(text)[4:16])
@pytest.mark.parametrize("form", ["{}", "<p>{}</p>", "{}" + "用" * 3000])
def test_no_body_ends_the_mail_early(text: str, form: str) -> None:
    raw = mail(MimeContent("s", form.format(text), (File("a", "text/plain", text.encode()),)))
    for end in (
        rb"\r\n\.\r\n",
        rb"\n\.\n",
        rb"\r\.\r",
        rb"\n\.\r",
        rb"\r\.\n",
        rb"[^\r]\n",
        rb"\r[^\n]",
    ):
        assert not re.search(end, raw), end
    lines = form.format(text).replace("\r\n", "\n").replace("\r", "\n")
    shown = [part for part in parsed(raw).walk() if not part.is_multipart()]
    assert text_of(shown[-2]) == (lines if lines.endswith("\n") else lines + "\n")
    assert shown[-1].get_payload(decode=True) == text.encode()


def test_html_gets_a_plain_alternative() -> None:
    html = '<h1>账单</h1><p>Pay <a href="https://x.test/p?a=1&amp;b=2">here</a>.</p>'
    message = parsed(mail(MimeContent("s", html)))
    assert message.keys() == [*PLAN, "Content-Type"]
    assert message.get_content_type() == "multipart/alternative"
    plain, rich = message.iter_parts()
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert text_of(plain) == "账单\n\nPay here (https://x.test/p?a=1&b=2).\n"
    assert text_of(rich) == html + "\n"


FILE_NAMES = {
    "a.pdf": "a.pdf", "账单 九月.pdf": "账单 九月.pdf", "😀.png": "😀.png", "a b.txt": "a b.txt",
    "/etc/passwd": "passwd", "..\\..\\x.exe": "x.exe", "C:\\tmp\\账单.xlsx": "账单.xlsx",
    "a/b/": "attachment", "": "attachment", "..": "attachment", ".bashrc": "bashrc",
    "a\r\nBcc: x@y.zz.pdf": "aBcc: x@y.zz.pdf", "a\0.pdf": "a.pdf", "a\u202efdp.exe": "afdp.exe",
    'a"; x="b.txt': 'a"; x="b.txt', "a\u2028b.txt": "ab.txt", "50%;'*.csv": "50%;'*.csv",
    "x" * 300 + ".pdf": "x" * 196 + ".pdf", "用" * 300 + ".pdf": "用" * 65 + ".pdf",
    "=?utf-8?q?=0ABcc:x?=.txt": "=_utf-8?q?=0ABcc:x?=.txt", "e\u0301.txt": "é.txt",
    "账" * 60 + ".tar.gz": "账" * 60 + ".tar.gz",
}  # fmt: skip


@pytest.mark.parametrize("name", FILE_NAMES, ids=lambda name: ascii(name)[:30])
def test_file_names_come_back_whole_and_harmless(name: str) -> None:
    data = bytes(range(256)) * 5
    raw = mail(MimeContent("s", "t", (File(name, "application/pdf", data),)))
    part = next(parsed(raw).iter_attachments())
    assert part.get_filename() == FILE_NAMES[name]
    assert part.get_content() == data
    names = ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"]
    assert part.keys() == names
    old = parsed_of_old(raw).get_payload(1)
    assert isinstance(old, Message)
    assert old.keys() == names
    disposed = old.get_param("filename", header="content-disposition")
    assert collapse_rfc2231_value(disposed) == FILE_NAMES[name]  # type: ignore[arg-type]
    assert decoded(old.get_param("name")).replace("\r\n", "") == FILE_NAMES[name]


def test_attachments_are_base64_in_76_columns() -> None:
    raw = mail(MimeContent("s", "t", (File("a", "image/png", bytes(1000)), File("b", "", b""))))
    lines = raw.partition(b"filename=")[2].partition(b"\r\n\r\n")[2].split(b"\r\n")
    assert [len(line) for line in lines[:18]] == [76] * 17 + [44]
    first, second = parsed(raw).iter_attachments()
    assert (first.get_content(), second.get_content()) == (bytes(1000), b"")
    assert second.get_content_type() == "application/octet-stream"


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed"])
def test_containers_are_attached_as_octets(kind: str) -> None:
    part = next(parsed(mail(MimeContent("s", "t", (File("a", kind, b"x"),)))).iter_attachments())
    assert part.get_content_type() == "application/octet-stream"


@pytest.mark.parametrize(
    "kind", ["x", "a/b\r\nBcc: x", "a/b; name=x", "a/b/c", "/", "用/b", "a/b\n"]
)
def test_content_types_are_a_type_and_a_subtype(kind: str) -> None:
    if kind.strip() == "a/b":
        mail(MimeContent("s", "t", (File("a", kind, b""),)))
        return
    with pytest.raises(BadContent, match="content type"):
        mail(MimeContent("s", "t", (File("a", kind, b""),)))


def test_texts_with_half_characters_are_refused() -> None:
    for text in ("a\ud83d", "<p>\udc00</p>"):
        with pytest.raises(BadContent, match="half a character"):
            mail(MimeContent("s", text))


def test_the_shorter_encoding_is_taken() -> None:
    assert b"Encoding: quoted-printable" in mail(MimeContent("s", "plain words é " * 50))
    assert b"Encoding: base64" in mail(MimeContent("s", "你好世界" * 50))
    assert len(mail(MimeContent("s", "你好世界" * 500))) < 2000 * 3 * 1.4 + 600


def test_a_second_build_gives_the_same_octets() -> None:
    content = MimeContent("s", "<p>x</p>", (File("a", "", b"x"),))
    other = MimeContent("s", "<p>y</p>", content.files)
    assert mail(content) == mail(content)
    boundaries = {mark for c in (content, other) for mark in re.findall(rb'ry="([^"]+)"', mail(c))}
    assert len(boundaries) == 4


def test_the_size_is_about_right() -> None:
    skeleton = MimeTemplate.build(
        MimeContent("s", "x" * 3000), from_address="a@b.cd", auto_submitted=True
    )
    raw = skeleton.render(to="user@x.test", message_id="a@b", date=WHEN)
    assert abs(skeleton.size - len(raw)) < 150


@pytest.mark.parametrize(
    "block",
    [
        b"A: x\r\nBcc: y\r\n", b"A: x\nBcc: y\r\n", b"A: x\rb\r\n", b"A: x\r\n\r\nB: y\r\n",
        b"A: x", b"A: " + b"x" * 996 + b"\r\n", b"A : x\r\n", b" A: x\r\n", b"", b"B: x\r\n",
        b"A: x\r\n \r\n", b"A: x\r\njunk\r\n",
    ],
    ids=lambda block: ascii(block)[:30],
)  # fmt: skip
def test_a_block_that_is_not_the_plan_is_refused(block: bytes) -> None:
    headers.check_block(b"A: x\r\n y\r\n", ["A"])
    with pytest.raises(BadContent):
        headers.check_block(block, ["A"])
    if block.startswith(b"A: x\r\nBcc"):
        with pytest.raises(BadContent):
            headers.block([("A", (b"x\r\nBcc: y", Slot.TO))])


@pytest.mark.parametrize("length", [1_000, 30_000])
def test_a_mail_costs_a_hundredth_of_what_the_standard_library_takes(length: int) -> None:
    """A microsecond or two; how long one is depends on the machine and on who shares it."""
    content = MimeContent("Your bill", "x" * 70 + "\n" * (length // 70))
    skeleton = MimeTemplate.build(content, from_address="a@b.cd", auto_submitted=True)

    def ours() -> None:
        skeleton.render(to="user@example.com", message_id="d.1234567@x.test", date=WHEN)

    def theirs() -> None:
        message = EmailMessage(policy=policy.SMTP)
        message["Subject"], message["From"], message["To"] = "Your bill", "a@b.cd", "u@example.com"
        message.set_content(content.text)
        message.as_bytes()

    assert seconds_of(ours, 2000) * 100 < seconds_of(theirs, 20)


def seconds_of(work: Callable[[], None], times: int) -> float:
    """Of the processor, for one of them, at best."""

    def once() -> float:
        start = time.process_time()
        for _ in range(times):
            work()
        return time.process_time() - start

    return min(once() for _ in range(5)) / times
