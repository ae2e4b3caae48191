"""Senders: the accounts that mail goes out through."""

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ums.api.management.dependencies import Caller, Paging, System, expected, shown
from ums.bounds import UNBROKEN, Address, Line, Name30, said
from ums.core.common.pagination import Page
from ums.core.deliveries import mailbox_polling
from ums.core.messages import auto_pause
from ums.core.senders import (
    connection_test,
    learned_limits,
    mailboxes,
    quota_ledger,
    reputation,
    routing,
    senders,
    warm_up,
)
from ums.core.senders.connection_test import TestReport
from ums.core.senders.learned_limits import DomainRateInfo
from ums.core.senders.mailboxes import MailboxInfo, NewMailbox
from ums.core.senders.quota_ledger import MOST_CAPS, CapUse
from ums.core.senders.reputation import Reputation
from ums.core.senders.routing import MOST_RANK, MOST_WEIGHT
from ums.core.senders.senders import NewSender, SenderInfo, SenderOrder
from ums.core.senders.warm_up import Warming
from ums.errors import NotFound
from ums.mail.email_account import Host
from ums.mail.send_limits import SendLimit
from ums.mail.warm_up_plan import WarmUp
from ums.web.bodies import BoundedRequest as Call

Port = Annotated[int, Meta(ge=1, le=65535)]
Secret = Annotated[str, said(pattern=UNBROKEN)]
FromName = Annotated[Line, said("At most 256 bytes.", maxLength=256)]
_Approve = Annotated[
    bool,
    Meta(description="Approve a port that is not among the usual; needs `senders:approve`."),
]

SenderCode = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9]{1,30}$",
        extra_json_schema={"not": {"pattern": "^[Aa][Ll][Ll]$"}},
        description="Letters and digits; never changes. Not `all`.",
    ),
]
ReservePercent = Annotated[
    int, Meta(ge=0, le=90, description="Percent of each cap that only urgent mail may use.")
]


class SenderDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sender to be made."""

    code: SenderCode
    name: Name30
    host: Host
    port: Port
    encryption: Literal["none", "ssl", "starttls"]
    account: Annotated[Secret, Meta(description="The login; empty for none.")] = ""
    password: Annotated[Secret | None, Meta(description="Never shown again.")] = None
    from_address: Annotated[Address, Meta(min_length=3, max_length=254)]
    from_name: FromName = ""
    channels: Annotated[list[str], Meta(description="Keys of channels that may use it.")] = []
    allow_port: _Approve = False
    caps: Annotated[
        list[SendLimit],
        said(maxItems=MOST_CAPS),
        Meta(description="How many mails it may send in a time."),
    ] = []
    urgent_reserve_percent: ReservePercent = 10


class SenderChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    name: Name30 | UnsetType = UNSET
    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    encryption: Literal["none", "ssl", "starttls"] | UnsetType = UNSET
    account: Secret | UnsetType = UNSET
    password: Annotated[
        Secret | UnsetType, Meta(description="Has to be given again where mail goes elsewhere.")
    ] = UNSET
    from_address: Address | UnsetType = UNSET
    from_name: FromName | UnsetType = UNSET
    open: Annotated[bool | UnsetType, Meta(description="False pauses it.")] = UNSET
    allow_port: _Approve = False
    caps: Annotated[
        Annotated[list[SendLimit], said(maxItems=MOST_CAPS)] | UnsetType,
        Meta(description="All of them; what was sent already counts against new ones too."),
    ] = UNSET
    urgent_reserve_percent: ReservePercent | UnsetType = UNSET


class Trial(Struct, frozen=True, forbid_unknown_fields=True):
    """How a sender is tried."""

    to: Annotated[Address | None, Meta(description="Also send a test mail to this address.")] = None


class Authorisation(Struct, frozen=True, forbid_unknown_fields=True):
    """A channel's right to use a sender."""

    default: Annotated[bool, Meta(description="Make it the channel's default.")] = False
    rank: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_RANK)] | None,
        Meta(
            description="Its place in the channel's route: the next rank takes over where none of"
            " this can send. 0: only mail that names it; null: as it is."
        ),
    ] = None
    weight: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_WEIGHT)] | None,
        Meta(description="Its part of what its rank shares; null: as it is."),
    ] = None


@get("/api/senders", scope="senders:read", channels="all")
async def list_senders(
    system: System,
    paging: Paging,
    open: Annotated[bool | None, QueryParameter(description="Only open or paused ones.")] = None,
    sort: FromQuery[SenderOrder] = "code",
) -> Page[SenderInfo]:
    """All senders, in the order of their codes."""
    return await senders.page_senders(
        system, open=open, sort=sort, after=paging.after, limit=paging.limit
    )


@post("/api/senders", scope="senders:write", channels="all")
async def create_sender(
    system: System, caller: Caller, request: Call, data: JSONBody[SenderDraft]
) -> Response[SenderInfo]:
    """Make an email sender; a webhook sender is made with `POST /api/webhook-senders`."""
    if data.allow_port:
        caller.need("senders:approve")
    return shown(request, await senders.create(system, NewSender(**asdict(data))), 201)


@get("/api/senders/{code:str}", scope="senders:read", channels="all")
async def show_sender(system: System, request: Call, code: FromPath[str]) -> Response[SenderInfo]:
    """A sender, with its status."""
    return shown(request, await senders.show(system, code))


@patch("/api/senders/{code:str}", scope="senders:write", channels="all")
async def change_sender(
    system: System, caller: Caller, request: Call, code: FromPath[str], data: JSONBody[SenderChange]
) -> Response[SenderInfo]:
    """Change it; that ends a cooldown."""
    if data.allow_port:
        caller.need("senders:approve")
    given = {name: value for name, value in asdict(data).items() if value is not UNSET}
    changes = {name: value for name, value in given.items() if name != "allow_port" or value}
    open = changes.pop("open", None)
    return shown(request, await senders.edit(system, code, changes, open, expected(request)))


@get("/api/senders/{code:str}/caps", scope="senders:read", channels="all")
async def list_caps(system: System, code: FromPath[str]) -> Page[CapUse]:
    """How far each of its caps is used."""
    return Page(await quota_ledger.caps_of(system, code), None)


@get("/api/senders/{code:str}/standing", scope="senders:read", channels="all")
async def show_standing(system: System, code: FromPath[str]) -> Reputation:
    """What became of its last mails, by which it is throttled or suspended."""
    return await reputation.standing_of(system, code)


@get("/api/senders/{code:str}/domain-rates", scope="senders:read", channels="all")
async def list_domain_rates(system: System, code: FromPath[str]) -> Page[DomainRateInfo]:
    """The recipients' domains that it writes to more slowly, as they take no more."""
    return Page(await learned_limits.list_domain_rates(system, code), None)


@post("/api/senders/{code:str}/confirm", scope="senders:write", channels="all", status_code=200)
async def confirm_sender(
    system: System, request: Call, code: FromPath[str]
) -> Response[SenderInfo]:
    """Let it send to several people again after it was stopped: what was paused for it goes on,
    and its mails are counted anew."""
    await auto_pause.confirm(system, code)
    return shown(request, await senders.show(system, code))


@get("/api/senders/{code:str}/warm-up", scope="senders:read", channels="all")
async def show_warm_up(system: System, code: FromPath[str]) -> Warming:
    """How far it is warmed up; 404 where it is not."""
    return await _warming(system, code)


@put("/api/senders/{code:str}/warm-up", scope="senders:write", channels="all")
async def begin_warm_up(system: System, code: FromPath[str], data: JSONBody[WarmUp]) -> Warming:
    """Warm a new account up: so many mails today, and more each day that went well."""
    await warm_up.begin(system, code, data)
    return await _warming(system, code)


@delete("/api/senders/{code:str}/warm-up", scope="senders:write", channels="all")
async def end_warm_up(system: System, code: FromPath[str]) -> None:
    """Let it send as much as its other limits have it."""
    await warm_up.end(system, code)


@get("/api/senders/{code:str}/mailbox", scope="senders:read", channels="all")
async def show_mailbox(system: System, code: FromPath[str]) -> MailboxInfo:
    """The mailbox of its account, and what was found there; 404 where UMS looks into none."""
    found = await mailboxes.show(system, code)
    if found is None:
        raise NotFound("no_mailbox", code=code)
    return found


@put("/api/senders/{code:str}/mailbox", scope="senders:write", channels="all")
async def set_mailbox(
    system: System, caller: Caller, code: FromPath[str], data: JSONBody[NewMailbox]
) -> MailboxInfo:
    """Look into the mailbox of its account over IMAP: for mails in doubt in the Sent folder, and
    for mails that came back."""
    if data.allow_port:
        caller.need("senders:approve")
    return await mailboxes.set_mailbox(system, code, data)


@delete("/api/senders/{code:str}/mailbox", scope="senders:write", channels="all")
async def remove_mailbox(system: System, code: FromPath[str]) -> None:
    """Look into it no more, and forget its password."""
    await mailboxes.remove(system, code)


@post(
    "/api/senders/{code:str}/mailbox/look", scope="senders:write", channels="all", status_code=200
)
async def look_into_mailbox(system: System, code: FromPath[str]) -> MailboxInfo:
    """Look at once; `problem` says why it could not be done."""
    return await mailbox_polling.look_now(system, code)


@post("/api/senders/{code:str}/pause", scope="senders:write", channels="all", status_code=200)
async def pause_sender(system: System, request: Call, code: FromPath[str]) -> Response[SenderInfo]:
    """Send nothing through it: its deliveries wait."""
    return shown(request, await senders.set_open(system, code, open=False))


@post("/api/senders/{code:str}/resume", scope="senders:write", channels="all", status_code=200)
async def resume_sender(system: System, request: Call, code: FromPath[str]) -> Response[SenderInfo]:
    """Let it send again."""
    return shown(request, await senders.set_open(system, code, open=True))


@post("/api/senders/{code:str}/test", scope="senders:write", channels="all", status_code=200)
async def test_sender(system: System, code: FromPath[str], data: JSONBody[Trial]) -> TestReport:
    """Connect and log in, and send a test mail to `to`. A successful test ends a cooldown."""
    return await connection_test.run(system, code, data.to)


@put("/api/senders/{code:str}/channels/{key:str}", scope="senders:write", channels="all")
async def authorise_sender(
    system: System,
    caller: Caller,
    request: Call,
    code: FromPath[str],
    key: FromPath[str],
    data: JSONBody[Authorisation],
) -> Response[SenderInfo]:
    """Let a channel use it. The first sender of a channel is its default."""
    own = caller.channel(key).key
    await senders.authorise(system, code, own, default=data.default)
    await routing.set_leg(system, own, code, rank=data.rank, weight=data.weight)
    return shown(request, await senders.show(system, code))


@delete(
    "/api/senders/{code:str}/channels/{key:str}",
    scope="senders:write",
    channels="all",
    status_code=200,
)
async def unauthorise_sender(
    system: System, caller: Caller, request: Call, code: FromPath[str], key: FromPath[str]
) -> Response[SenderInfo]:
    """Take the right away again. What the channel has sent already goes on."""
    own = caller.channel(key).key
    return shown(request, await senders.unauthorise(system, code, own))


async def _warming(system: System, code: str) -> Warming:
    found = await warm_up.show(system, code)
    if found is None:
        raise NotFound("not_warming", code=code)
    return found


handlers = [
    list_senders,
    create_sender,
    show_sender,
    change_sender,
    list_caps,
    show_standing,
    list_domain_rates,
    confirm_sender,
    show_warm_up,
    begin_warm_up,
    end_warm_up,
    show_mailbox,
    set_mailbox,
    remove_mailbox,
    look_into_mailbox,
    pause_sender,
    resume_sender,
    test_sender,
    authorise_sender,
    unauthorise_sender,
]
