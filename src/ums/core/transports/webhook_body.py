"""The JSON that a webhook sender posts for one recipient.

What is the same for everybody is encoded when the message is built; a body is then a join of bytes,
as with `ums.mail.mime.builder`.
"""

import base64
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from msgspec import Struct

from ums import clock
from ums.core.transports.protocol import MessageFacts, Recipient
from ums.mail.mime.builder import File, MimeContent, Placeholder, check_subject, text_and_html
from ums.mail.mime.transfer_encoding import Pieces

_NAMES = (b'"subject":', b'"text":', b'"html":')


class WebhookDelivery(Struct, frozen=True):
    """A body and the id it is sent with, the same at every try."""

    id: str
    body: bytes


class JsonText:
    """A text as a JSON string, whose static parts were escaped once."""

    name: ClassVar[bytes] = b""

    def __init__(self, texts: Sequence[str]) -> None:
        self._static = [_escaped(text) for text in texts]

    def encode(self, pieces: Pieces) -> bytes:
        static = self._static
        made = [static[one] if isinstance(one, int) else _escaped(one) for one in pieces]
        return b'"' + b"".join(made) + b'"'


class WebhookTemplate:
    """The body of one message but for what differs between recipients."""

    def __init__(self, content: MimeContent, *, broadcast: bool) -> None:
        if isinstance(content.subject, str):
            check_subject(content.subject)
        text, html = text_and_html(content)
        self._texts = [_known(one) for one in (content.subject, text, html)]
        self._rest = _rest(content)
        self._broadcast = broadcast

    @property
    def size(self) -> int:
        return len(self._rest) + sum(len(one or b"") for one in self._texts)

    def render(
        self, to: Recipient, of: MessageFacts, late: tuple[bytes, ...] = ()
    ) -> WebhookDelivery:
        id = delivery_id(to)
        head = {
            "type": "message",
            "id": id,
            "msgid": of.msgid,
            "channel": of.channel,
            "broadcast": self._broadcast,
            "time": clock.iso(of.date),
            "recipient": {"userid": to.userid, "address": to.address},
        }
        texts = [
            name + (late[at] or b'""' if known is None else known)
            for at, (name, known) in enumerate(zip(_NAMES, self._texts, strict=True))
        ]
        body = b",".join([msgspec.json.encode(head)[:-1], *texts, self._rest])
        return WebhookDelivery(id, body)


def delivery_id(to: Recipient) -> str:
    """Standard Webhooks wants an id without a full stop, which stands between what is signed."""
    return to.token.replace(".", "_")


def sample(id: str) -> WebhookDelivery:
    """What a test posts: nothing to be delivered to anybody."""
    return WebhookDelivery(id, msgspec.json.encode({"type": "test", "id": id}))


def _known(text: str | Placeholder) -> bytes | None:
    return None if isinstance(text, Placeholder) else msgspec.json.encode(text)


def _rest(content: MimeContent) -> bytes:
    """What comes after the texts, with the brace at the end."""
    extras = content.extras
    told = {
        "to": extras.to,
        "cc": extras.cc,
        "reply_to": extras.reply_to,
        "headers": extras.headers,
        "attachments": [_file(file) for file in content.files],
    }
    return msgspec.json.encode(told)[1:]


def _file(file: File) -> dict[str, str]:
    return {
        "name": file.name,
        "content_type": file.content_type,
        "content_id": file.cid,
        "content": base64.b64encode(file.data).decode(),
    }


def _escaped(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]
