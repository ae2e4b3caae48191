"""The JSON of one delivery."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ums.core.net.ssrf_guard import Guard
from ums.core.transports.protocol import MessageFacts, Recipient
from ums.core.transports.webhook import WebhookTransport
from ums.core.transports.webhook_body import JsonText
from ums.mail.custom_headers import CustomHeaders, Header
from ums.mail.mime.builder import BadContent, File, MimeContent, Placeholder

TO = Recipient("a@example.cn", "2f.0123", "zhang")
FACTS = MessageFacts(1_796_077_779_000, "900", "1234")


def body_of(
    content: MimeContent, late: tuple[bytes, ...] = (), *, automatic: bool = True
) -> dict[str, Any]:
    template = WebhookTransport(Guard).build("", content, automatic=automatic)
    made = template.render(TO, FACTS, late)
    assert made.id == "2f_0123"
    return json.loads(made.body)


def test_the_whole_body() -> None:
    extras = CustomHeaders(
        to="all@example.cn",
        cc=("c@example.cn",),
        reply_to=("r@example.cn",),
        headers=(Header("X-Order", "7"),),
    )
    files = (File("甲.pdf", "application/pdf", b"%PDF"), File("i.png", "image/png", b"i", "i"))
    content = MimeContent("你好", "plain", files, "<p>rich</p>", extras)
    assert body_of(content, automatic=False) == {
        "type": "message",
        "id": "2f_0123",
        "msgid": "900",
        "channel": "1234",
        "broadcast": True,
        "time": "2026-11-30T22:29:39.000Z",
        "recipient": {"userid": "zhang", "address": "a@example.cn"},
        "subject": "你好",
        "text": "plain",
        "html": "<p>rich</p>",
        "to": "all@example.cn",
        "cc": ["c@example.cn"],
        "reply_to": ["r@example.cn"],
        "headers": [{"name": "X-Order", "value": "7"}],
        "attachments": [
            {
                "name": "甲.pdf",
                "content_type": "application/pdf",
                "content_id": "",
                "content": base64.b64encode(b"%PDF").decode(),
            },
            {
                "name": "i.png",
                "content_type": "image/png",
                "content_id": "i",
                "content": base64.b64encode(b"i").decode(),
            },
        ],
    }


@pytest.mark.parametrize(
    ("content", "text", "html"),
    [
        (MimeContent("s", "just text"), "just text", ""),
        (MimeContent("s", "<p>Hi</p>", plain=True), "<p>Hi</p>", ""),
        (MimeContent("s", "<p>Hi</p>"), "Hi", "<p>Hi</p>"),
        (MimeContent("s", html="<p>Hi</p>"), "Hi", "<p>Hi</p>"),
    ],
)
def test_text_and_html_are_those_of_a_mail(content: MimeContent, text: str, html: str) -> None:
    made = body_of(content)
    assert (made["text"].strip(), made["html"]) == (text, html)


def test_a_template_without_a_part_leaves_it_empty() -> None:
    content = MimeContent(Placeholder(), Placeholder(), html="")
    made = body_of(content, (b'"s"', b'"t"', b""))
    assert (made["subject"], made["text"], made["html"]) == ("s", "t", "")


def test_a_subject_is_one_line() -> None:
    transport = WebhookTransport(Guard)
    with pytest.raises(BadContent):
        transport.build("", MimeContent("a\nb", "t"), automatic=True)
    with pytest.raises(BadContent):
        transport.encode_subject("a\nb")


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), max_size=4))
def test_pieces_make_the_text_that_they_are(texts: list[str]) -> None:
    pieces: list[int | str] = [*range(len(texts)), *texts]
    assert json.loads(JsonText(texts).encode(pieces)) == "".join([*texts, *texts])
