"""Webhook senders: what is their own. The rest is that of all senders (`/api/senders`)."""

from typing import Annotated

from litestar import Response, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ums import clock
from ums.api.management.channels.webhooks import SigningRotation
from ums.api.management.dependencies import System, expected, shown
from ums.api.management.senders import ReservePercent, SenderCode
from ums.bounds import UNBROKEN, Name30, Url, said
from ums.core.senders import webhook_senders
from ums.core.senders.quota_ledger import MOST_CAPS
from ums.core.senders.senders import SenderInfo
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.mail.send_limits import SendLimit
from ums.web.bodies import BoundedRequest as Call

_Url = Annotated[
    Url,
    said(**{"not": {"pattern": "#"}}),
    Meta(description="Where each delivery is posted to. With credentials https, or a private IP."),
]
_Account = Annotated[
    str,
    said(pattern="^[^:\\x00-\\x1f\\x7f]*$"),
    Meta(
        max_length=webhook_senders.MOST,
        description="The user of HTTP Basic. Empty: a password is then a bearer token.",
    ),
]
_Password = Annotated[
    str,
    said(pattern=UNBROKEN),
    Meta(max_length=webhook_senders.MOST, description="Never shown again."),
]
_Deduplicates = Annotated[
    bool,
    Meta(
        description="The receiver takes no `webhook-id` twice, so that a delivery without an"
        " answer may be posted again."
    ),
]


class WebhookSenderDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook sender to be made."""

    code: SenderCode
    name: Name30
    url: _Url
    account: _Account = ""
    password: _Password = ""
    deduplicates: _Deduplicates = False
    channels: Annotated[list[str], Meta(description="Keys of channels that may use it.")] = []
    caps: Annotated[
        list[SendLimit],
        said(maxItems=MOST_CAPS),
        Meta(description="How many deliveries it may post in a time."),
    ] = []
    urgent_reserve_percent: ReservePercent = 10


_NAMED = {"account": {"minLength": 1}, "password": {"minLength": 1}}
_Draft = Annotated[
    WebhookSenderDraft,
    said(
        anyOf=[
            {"properties": {"account": {"const": ""}}},
            {"required": ["account", "password"], "properties": _NAMED},
        ]
    ),
]


class WebhookSenderChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    name: Name30 | UnsetType = UNSET
    url: _Url | UnsetType = UNSET
    account: _Account | UnsetType = UNSET
    password: Annotated[
        _Password | UnsetType,
        Meta(description="Has to be given again with another URL or user; empty for none."),
    ] = UNSET
    deduplicates: _Deduplicates | UnsetType = UNSET
    open: Annotated[bool | UnsetType, Meta(description="False pauses it.")] = UNSET


@post("/api/webhook-senders", scope="senders:write", channels="all")
async def create_webhook_sender(
    system: System, request: Call, data: JSONBody[_Draft]
) -> Response[SenderInfo]:
    """Make a sender that posts each delivery to a URL, signed as Standard Webhooks has it. The
    signing secret stands in this answer alone."""
    made = await webhook_senders.create(system, NewWebhookSender(**asdict(data)))
    return shown(request, made, 201)


@patch("/api/webhook-senders/{code:str}", scope="senders:write", channels="all")
async def change_webhook_sender(
    system: System, request: Call, code: FromPath[str], data: JSONBody[WebhookSenderChange]
) -> Response[SenderInfo]:
    """Change it; that ends a cooldown."""
    changes = {name: value for name, value in asdict(data).items() if value is not UNSET}
    open = changes.pop("open", None)
    changed = await webhook_senders.edit(system, code, changes, open, expected(request))
    return shown(request, changed)


@post(
    "/api/webhook-senders/{code:str}/rotate",
    scope="senders:write",
    channels="all",
    status_code=200,
)
async def rotate_webhook_sender(
    system: System, request: Call, code: FromPath[str], data: JSONBody[SigningRotation]
) -> Response[SenderInfo]:
    """Give it a new signing secret, which stands in this answer alone."""
    overlap = round(data.overlap_hours * clock.HOUR)
    return shown(request, await webhook_senders.rotate(system, code, overlap))


handlers = [create_webhook_sender, change_webhook_sender, rotate_webhook_sender]
