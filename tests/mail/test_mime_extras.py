"""Header fields and inline images of the caller's own."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ums.mail.addresses import BadAddress
from ums.mail.custom_headers import CustomHeaders, Header, check_header, check_headers
from ums.mail.mime.builder import BadContent, File, MimeContent, MimeTemplate

HTML = '<p>Look: <img src="cid:logo"></p>'
PNG = File("标志.png", "image/png", b"\x89PNG\r\n\x1a\n", cid="logo")


def parsed(content: MimeContent, to: str = "user@x.test") -> EmailMessage:
    skeleton = MimeTemplate.build(content, from_address="bill@corp.cn", auto_submitted=True)
    raw = skeleton.render(to=to, message_id="d.17@corp.cn", date=1_790_000_000_123)
    message = message_from_bytes(raw.replace(b"\r\n..", b"\r\n."), policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not [part.defects for part in message.walk() if part.defects]
    return message


def extra(**given: object) -> MimeContent:
    return MimeContent("Hello", "text", extras=CustomHeaders(**given))  # type: ignore[arg-type]


def test_copies_and_replies_are_named() -> None:
    many = tuple(f"colleague{n}@example.org" for n in range(20))
    mail = parsed(extra(to="boss@x.test", cc=many, reply_to=("a@x.test", "b@x.test")))
    assert mail["To"] == "boss@x.test"
    assert [one.addr_spec for one in mail["Cc"].addresses] == list(many)
    assert [one.addr_spec for one in mail["Reply-To"].addresses] == ["a@x.test", "b@x.test"]
    assert "Bcc" not in mail


@pytest.mark.parametrize("address", ["a@x.test, b@x.test", "a", "a@x.test\r\nBcc: b@x.test", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    for field in ("cc", "reply_to"):
        with pytest.raises(BadAddress):
            parsed(extra(**{field: (address,)}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Campaign", "spring 春天 2026"),
        ("X-Entity-Ref-ID", "a" * 900),
        ("List-Unsubscribe", "<https://x.test/u?t=1>, <mailto:leave@x.test?subject=leave>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", "News of X <news.x.test>"),
        ("In-Reply-To", "<1.a@x.test>"),
        ("References", " ".join(f"<{n}.abcdefghijkl@mail.x.test>" for n in range(20))),
        ("Importance", "high"),
        ("Precedence", "bulk"),
        ("Feedback-ID", "campaign:customer:mail:corp"),
        ("Organization", "极光"),
    ],
)
def test_a_header_comes_back(name: str, value: str) -> None:
    mail = parsed(extra(headers=(Header(name, value),)))
    assert " ".join(str(mail[name]).split()) == value


@pytest.mark.parametrize(
    "name",
    ["Bcc", "bcc", "From", "Sender", "Received", "Subject", "To", "Message-ID", "Content-Type",
     "DKIM-Signature", "Return-Path", "Auto-Submitted", "X", "X-", "X-a b", "X-a:", "X-\u00e4",
     "X-UMS-Id", "X-Spam-Score", "X-Google-DKIM-Signature", "", "X-" + "a" * 70],
)  # fmt: skip
def test_a_name_that_is_not_allowed_is_refused(name: str) -> None:
    with pytest.raises(BadContent, match="may not be set"):
        check_header(Header(name, "value"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", ""),
        ("X-A", " padded"),
        ("X-A", "a\r\nBcc: x@y.zz"),
        ("X-A", "=?utf-8?q?a=0ABcc=3A_x=40y.zz?="),
        ("X-A", "a" * 999),
        ("List-Unsubscribe", "https://x.test"),
        ("List-Unsubscribe", "<http://x.test>"),
        ("List-Unsubscribe", "<javascript:alert(1)>"),
        ("List-Unsubscribe", "<https://>"),
        ("List-Unsubscribe-Post", "yes"),
        ("List-Id", "news"),
        ("References", "a@x.test"),
        ("Importance", "most"),
        ("Precedence", "junk"),
    ],
)
def test_a_value_that_is_not_of_its_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadContent):
        check_header(Header(name, value))


def test_a_header_is_given_once_and_not_without_end() -> None:
    with pytest.raises(BadContent, match="twice"):
        check_headers([Header("X-A", "1"), Header("x-a", "2")])
    with pytest.raises(BadContent, match="at most"):
        check_headers([Header(f"X-A{n}", "1") for n in range(21)])


@given(st.text(max_size=60), st.text(max_size=200))
def test_no_header_brings_another(name: str, value: str) -> None:
    plan = parsed(extra()).keys()
    try:
        mail = parsed(extra(headers=(Header(name, value),)))
    except BadContent:
        return
    assert sorted(mail.keys()) == sorted([*plan, name])


def test_an_image_stands_beside_the_html_that_shows_it() -> None:
    bill = File("bill.pdf", "application/pdf", b"%PDF")
    mail = parsed(MimeContent("Hello", HTML, (PNG, bill)))
    assert mail.get_content_type() == "multipart/mixed"
    alternative, attached = mail.iter_parts()
    assert attached.get_filename() == "bill.pdf"
    text, related = alternative.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert related.get_content_type() == "multipart/related"
    assert related.get_param("type") == "text/html"
    html, image = related.iter_parts()
    assert html.get_content_type() == "text/html"
    assert image["Content-ID"] == "<logo>"
    assert image.get_content_disposition() == "inline"
    assert image.get_filename() == "标志.png"
    assert image.get_content() == PNG.data


@pytest.mark.parametrize("cid", ["a b", "<a>", "a>\r\nX: y", "ä", "-a", "a" * 101, "a@b@c"])
def test_a_cid_that_is_none_is_refused(cid: str) -> None:
    with pytest.raises(BadContent, match="cid"):
        parsed(MimeContent("Hello", HTML, (File("a.png", "image/png", b"x", cid=cid),)))


def test_an_image_needs_html_and_a_name_of_its_own() -> None:
    with pytest.raises(BadContent, match="HTML"):
        parsed(MimeContent("Hello", "no markup", (PNG,)))
    with pytest.raises(BadContent, match="same cid"):
        parsed(MimeContent("Hello", HTML, (PNG, PNG)))
