"""Whatever the texts are: either refused, or one mail with the planned headers and content."""

from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mail.mime.test_builder import PLAN, decoded, mail, parsed, parsed_of_old, text_of, unstuffed
from ums.mail.addresses import BadAddress, clean
from ums.mail.mime.builder import BadContent, File, MimeContent, check_subject
from ums.mail.mime.headers import check_block, encoded_words, has_control, text_value
from ums.mail.mime.html_to_text import html_to_text, is_html

NASTY = [
    "\r\nBcc: x@y.zz", "\n", "\r", "\0", "\u2028", "\x85", "\x0b",
    "=?utf-8?q?=0A?=", "=?utf-8?b?Cg==?=",
    "=?", "?=", "=0D=0A", "\r\n.\r\n", "\n.\n", "\r.\r", ".", "用户", "😀", "e\u0301", "\ud83d",
    '"',
    "\\", "<", ">", ",", ";", ":", "(", " ", "  ", "\t", "x" * 80, "--=_mixed_", "<p>", "</p>", "=",
]  # fmt: skip
plain_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=120)
nasty = st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=8).map("".join)
texts = nasty | plain_text | st.text(max_size=400)
ROOT = {("Content-Type", "Content-Transfer-Encoding"), ("Content-Type",)}


def check_subject_or_none(subject: str) -> str | None:
    try:
        check_subject(subject)
    except BadContent:
        return None
    return subject


def headers_of(message: Message) -> Sequence[str]:
    assert tuple(message.keys()[len(PLAN) :]) in ROOT
    return message.keys()[: len(PLAN)]


@given(texts)
@example("=?utf-8?q?x=0ABcc:_y?=")
@settings(max_examples=300)
def test_a_subject_is_refused_or_comes_back(subject: str) -> None:
    if check_subject_or_none(subject) is None:
        assert has_control(subject) or not 1 <= len(subject.encode("utf-8", "replace")) <= 998
        return
    raw = mail(MimeContent(subject, "t"))
    assert headers_of(parsed_of_old(raw)) == PLAN
    assert headers_of(parsed(raw)) == PLAN
    assert decoded(parsed_of_old(raw)["Subject"]).replace("\r\n", "") == subject
    assert not set(str(parsed(raw)["Subject"])) & set("\r\n\0")


@given(plain_text.filter(bool))
def test_each_encoded_word_stands_alone(text: str) -> None:
    words = encoded_words(text, 60)
    assert all(len(word) <= 75 for word in words)
    assert "".join(decoded(word) for word in words) == text
    check_block(b"Subject: " + text_value("Subject", "用" + text) + b"\r\n", ["Subject"])


@given(texts, texts, texts)
@example("", '""', "")
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_anywhere_changes_the_plan(name: str, file_name: str, body: str) -> None:
    content = MimeContent(
        "s", body, (File(file_name, "text/plain", body.encode("utf-8", "replace")),)
    )
    try:
        raw = mail(content, from_name=name)
    except BadAddress:
        name = ""
        try:
            raw = mail(content)
        except BadContent:
            return
    except BadContent:
        assert any("\ud800" <= char <= "\udfff" for char in body)
        return
    message = parsed(raw)
    assert headers_of(message) == PLAN
    assert [box.addr_spec for box in message["From"].addresses] == ["bill@corp.cn"]
    assert [box.addr_spec for box in message["To"].addresses] == ["user@x.test"]
    *_, attached = message.walk()
    assert attached.keys() == ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"]
    assert attached.get_payload(decode=True) == content.files[0].data
    shown = attached.get_filename()
    assert shown
    assert not set(shown) & set("\r\n\0/\\\u2028\u202e")


@given(texts)
@settings(max_examples=300)
@example(".")
@example("\r.\r\n.\n")
def test_a_body_is_refused_or_comes_back(body: str) -> None:
    try:
        raw = mail(MimeContent("s", body))
    except BadContent:
        assert any("\ud800" <= char <= "\udfff" for char in body)
        return
    assert raw.isascii()
    *_, last = message_from_bytes(unstuffed(raw)).walk()
    lines = body.replace("\r\n", "\n").replace("\r", "\n")
    assert text_of(last) == (lines if lines.endswith("\n") else lines + "\n")
    assert last.get_content_type() == ("text/html" if is_html(lines) else "text/plain")


@given(st.text("用aé.+-'@", max_size=12).map(lambda local: local + "@x.test"))
def test_a_recipient_is_the_only_one(to: str) -> None:
    try:
        to = clean(to)
    except BadAddress:
        return
    old = parsed_of_old(mail(MimeContent("s", "t"), to=to))
    assert headers_of(old) == PLAN
    assert old["To"].encode("ascii", "surrogateescape") == to.encode() if to.isascii() else True
    assert b"\r\nTo: " + to.encode() + b"\r\n" in mail(MimeContent("s", "t"), to=to)


fragments = st.sampled_from(
    ["<p>", "</p>", "<a href='https://x.test'>", "</a>", "<ul>", "<ol>", "</ul>", "<li>", "<pre>",
     "</pre>", "<td>", "<tr>", "<br>", "<hr>", "<img alt=x>", "<!--", "-->", "<script>",
     "</script>",
     " ", "\n", "&nbsp;", "&#13;", "&#xD800;", "word", "用", "'", '"', "=", "<", ">"]
)  # fmt: skip


@given(st.lists(fragments | st.text(max_size=3), max_size=30).map("".join))
@settings(max_examples=400)
def test_any_html_has_plain_words(html: str) -> None:
    said = html_to_text(html)
    assert "\r" not in said
    assert "\n\n\n" not in said
    assert said == "\n".join(line.rstrip() for line in said.split("\n"))


@given(st.lists(st.text("abc用", min_size=1, max_size=8), min_size=1, max_size=12))
def test_no_word_of_html_gets_lost(words: list[str]) -> None:
    for form in ("<p>{}</p>", "<li>{}", "<td>{}</td>", "{}<br>", "<a href='https://x'>{}</a> "):
        said = html_to_text("".join(form.format(word) for word in words))
        assert [word for word in said.split() if word not in ("-", "|", "(https://x)")] == words
