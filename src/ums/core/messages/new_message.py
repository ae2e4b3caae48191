"""What can be asked for when a message is sent in full: the shape that /api takes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

MAX_RECIPIENTS = 10_000
MAX_COPIES = 50
MAX_OWN = 512 * 1024  # octets of JSON: the recipients' own variables, together

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_Text = Annotated[str, Meta(max_length=255)]
_Name = Annotated[str, Meta(max_length=200)]
_Cid = Annotated[str, Meta(max_length=100)]
_Copies = Annotated[list[str], Meta(max_length=MAX_COPIES)]
_Time = Annotated[datetime, Meta(tz=True)]


class Recipient(Struct, frozen=True, forbid_unknown_fields=True):
    """One who is to get the message: a user, or an address."""

    userid: str | None = None
    address: str | None = None
    variables: Annotated[
        dict[str, Any], Meta(description="Values for this one alone; they go before the others.")
    ] = {}


class Among(Struct, frozen=True, forbid_unknown_fields=True):
    """Users by what they are: whoever one of these fits."""

    everyone: Annotated[bool, Meta(description="Every user; then without the others.")] = False
    tags: Annotated[list[str], Meta(max_length=20)] = []
    segment: Id | None = None


class Attachment(Struct, frozen=True, forbid_unknown_fields=True):
    """A file: `content`, or what is at `url`, which may be a material's."""

    url: str | None = None
    content: Annotated[bytes | None, Meta(description="Base64.")] = None
    name: Annotated[_Name | None, Meta(description="Else that of the URL.")] = None
    content_type: _Name | None = None
    cid: Annotated[
        _Cid | None, Meta(description="The HTML shows it as `cid:` and this (RFC 2392).")
    ] = None


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """Where records of the message go."""

    url: Annotated[
        str | None, Meta(description="One of the channel's callbacks; null: its default.")
    ] = None
    params: Annotated[dict[str, Any] | None, Meta(description="Comes back with each record.")] = (
        None
    )


class MessageRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to be sent."""

    recipients: Annotated[list[Recipient], Meta(max_length=MAX_RECIPIENTS)] = []
    audience: Annotated[Among | None, Meta(description="In place of recipients.")] = None
    subject: str | None = None
    html: str | None = None
    text: Annotated[
        str | None, Meta(description="Beside html its plain alternative, else made of it.")
    ] = None
    template: Annotated[
        Id | None, Meta(description="Its newest version, in place of subject, html and text.")
    ] = None
    variables: Annotated[dict[str, Any], Meta(description="Values for the template.")] = {}
    cc: Annotated[_Copies, Meta(description="Copies; with one recipient.")] = []
    bcc: Annotated[_Copies, Meta(description="Copies that the mail does not name.")] = []
    reply_to: _Copies = []
    headers: Annotated[
        dict[str, str], Meta(description="X-fields of your own, List-Unsubscribe and some more.")
    ] = {}
    attachments: Annotated[list[Attachment], Meta(max_length=10)] = []
    sender: Annotated[
        _Text | None, Meta(description="A sender's code; null: the channel's default.")
    ] = None
    starts_at: Annotated[_Time | None, Meta(description="Not sent before.")] = None
    deliver_by: Annotated[
        _Time | None, Meta(description="Given up after; null: 24 h, everyone 72 h.")
    ] = None
    priority: Annotated[
        Literal[1, 2, 3] | None,
        Meta(description="1 urgent, 2 normal, 3 bulk; null: everyone, tags, segments 3, else 2."),
    ] = None
    on_unknown: Annotated[
        Literal["hold", "resend"] | None,
        Meta(description="After an unknown outcome; null: everyone is held, others are resent."),
    ] = None
    callback: Told | None = None
    block_list: Id | None = None
    allow_list: Id | None = None
    strategy: Id | None = None
    owner: Annotated[
        _Text | None, Meta(description="The operator who submits it, where approval is needed.")
    ] = None
    sendno: Annotated[_Text | None, Meta(description="Comes back in the answer.")] = None
