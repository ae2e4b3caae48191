"""What can be asked for when a message is sent in full: the shape that /api takes."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from ums.bounds import GIVEN, Address, Says, Subject, Url, either, said, some
from ums.core.common.identifiers import Tag, UserId
from ums.mail.mime.builder import CID

MAX_RECIPIENTS = 10_000
MAX_COPIES = 50
MAX_OWN = 512 * 1024  # octets of JSON: the recipients' own variables, together

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_Text = Annotated[str, Meta(max_length=255)]
_Name = Annotated[str, Meta(max_length=200)]
_Cid = Annotated[str, Meta(max_length=100), said(pattern=CID)]
_Plain = Annotated[_Text, said(pattern="^[^\\x00]*$")]
_Copies = Annotated[list[Address], Meta(max_length=MAX_COPIES)]
_Base64 = Annotated[
    bytes,
    said(pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"),
]
_Time = Annotated[datetime, Meta(tz=True)]


class Recipient(Struct, frozen=True, forbid_unknown_fields=True):
    """One who is to get the message: a user, or an address."""

    userid: UserId | None = None
    address: Address | None = None
    variables: Annotated[
        dict[str, Any], Meta(description="Values for this one alone; they go before the others.")
    ] = {}


class Among(Struct, frozen=True, forbid_unknown_fields=True):
    """Users by what they are: whoever one of these fits."""

    everyone: Annotated[bool, Meta(description="Every user; then without the others.")] = False
    tags: Annotated[list[Tag], Meta(max_length=20)] = []
    segment: Id | None = None


class Attachment(Struct, frozen=True, forbid_unknown_fields=True):
    """A file: `content`, or what is at `url`, which may be a material's."""

    url: Url | None = None
    content: Annotated[_Base64 | None, Meta(description="Base64.")] = None
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


_Recipient = Annotated[Recipient, said(**either("userid", "address"))]
_NONE = {"type": "array", "maxItems": 0}
_AMONG = {
    "anyOf": [
        {"type": "null"},
        {
            "required": ["everyone"],
            "properties": {
                "everyone": {"const": True},
                "tags": _NONE,
                "segment": {"type": "null"},
            },
        },
        {
            "required": ["tags"],
            "properties": {"everyone": {"const": False}, "tags": {"minItems": 1}},
        },
        {
            "required": ["segment"],
            "properties": {"everyone": {"const": False}, "segment": GIVEN},
        },
    ]
}
_Attachment = Annotated[
    Attachment,
    said(
        **either("url", "content"),
        **{"if": {"required": ["content"], "properties": {"content": {"type": "string"}}}},
        then={"required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}},
    ),
]
_NO_VARIABLES = {"properties": {"variables": {"type": "object", "maxProperties": 0}}}
WHOLE: Final[dict[str, Any]] = {
    "properties": {"audience": _AMONG},
    "allOf": [
        {
            "anyOf": [
                {
                    "required": ["audience"],
                    "properties": {"audience": {"type": "object"}, "recipients": _NONE},
                },
                {
                    "required": ["recipients"],
                    "properties": {"audience": {"type": "null"}, "recipients": {"minItems": 1}},
                },
            ]
        },
        {
            "anyOf": [
                {
                    "required": ["template"],
                    "properties": {
                        "template": GIVEN,
                        **{name: {"type": "null"} for name in ("subject", "html", "text")},
                    },
                },
                {
                    "required": ["subject"],
                    "properties": {
                        "template": {"type": "null"},
                        "subject": {"type": "string"},
                        "recipients": {"items": _NO_VARIABLES},
                        **_NO_VARIABLES["properties"],
                    },
                    **some("html", "text"),
                },
            ]
        },
        {
            "anyOf": [
                {"properties": {"cc": _NONE, "bcc": _NONE}},
                {"required": ["recipients"], "properties": {"recipients": {"maxItems": 1}}},
            ]
        },
        {
            "anyOf": [
                {"properties": {"block_list": {"type": "null"}}},
                {"properties": {"allow_list": {"type": "null"}}},
            ]
        },
    ],
}
"""What the members of a message have to do with each other, as JSON Schema has it."""


class MessageRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to be sent."""

    recipients: Annotated[list[_Recipient], Meta(max_length=MAX_RECIPIENTS)] = []
    audience: Annotated[Among | None, Meta(description="In place of recipients.")] = None
    subject: Subject | None = None
    html: Says | None = None
    text: Annotated[
        Says | None, Meta(description="Beside html its plain alternative, else made of it.")
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
    attachments: Annotated[list[_Attachment], Meta(max_length=10)] = []
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
        _Plain | None, Meta(description="The operator who submits it, where approval is needed.")
    ] = None
    sendno: Annotated[_Plain | None, Meta(description="Comes back in the answer.")] = None
