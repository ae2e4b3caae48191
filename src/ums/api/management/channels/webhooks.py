"""Callbacks of a channel: where it is told, and the batches that were sent there."""

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ums import clock
from ums.api.management.dependencies import Caller, Paging, System, expected, shown
from ums.api.responses import language_of
from ums.bounds import Line, Url, said, some
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByTime
from ums.core.messages.new_message import Id
from ums.core.verbs.base import Hours
from ums.core.webhooks import administration, endpoint_rows, endpoints
from ums.core.webhooks.administration import BatchDetail, BatchInfo, Replayed
from ums.core.webhooks.endpoint_rows import AddressInfo
from ums.core.webhooks.endpoints import Changes, Tested
from ums.core.webhooks.signatures import Proof, ProofForm
from ums.web.bodies import BoundedRequest as Call

Schedule = Literal["hosted", "standard"]
Form = Annotated[
    ProofForm,
    Meta(
        description="How it is proved that UMS calls. `signed`: a Standard Webhooks signature;"
        " `hosted`: as the hosted UMS, also the channel's MasterSecret, for which the caller needs"
        " the channel's own key or `channels:write`, and the URL https or a private address."
    ),
]
Username = Annotated[
    Line, Meta(max_length=255, description="Basic user of the receiver's own; empty for none.")
]
Password = Annotated[Line, Meta(max_length=255, description="Belongs to it. Never shown again.")]
State = Literal["waiting", "claimed", "done", "dead"]


Told = Annotated[Url, said(**{"not": {"pattern": "#"}})]


class NewCallback(Struct, frozen=True, forbid_unknown_fields=True):
    """An address to be told."""

    url: Told
    schedule: Annotated[
        Schedule, Meta(description="How it is tried again: as the hosted UMS does, or for days.")
    ] = "hosted"
    form: Form = "signed"
    username: Username = ""
    password: Password = ""


_NEITHER = {"username": {"const": ""}, "password": {"const": ""}}
_NAMED = {
    "username": {"minLength": 1, "pattern": "^[^:]*$"},
    "password": {"minLength": 1},
    "form": {"const": "signed"},
}
_New = Annotated[
    NewCallback,
    said(
        anyOf=[
            {"properties": _NEITHER},
            {"required": ["username", "password"], "properties": _NAMED},
        ]
    ),
]


class CallbackChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    url: Told | UnsetType = UNSET
    form: Form | UnsetType = UNSET
    username: Username | UnsetType = UNSET
    password: Annotated[
        Password | UnsetType, Meta(description="Has to be given again with another URL.")
    ] = UNSET


class SigningRotation(Struct, frozen=True, forbid_unknown_fields=True):
    """How the signing secret is changed."""

    overlap_hours: Annotated[Hours, Meta(description="So long the old one signs as well.")] = 24.0


class Replay(Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead batches: one of these at least. For one batch `first` and `last` are its id."""

    first: Id | None = None
    last: Id | None = None
    callback: Annotated[Id | None, Meta(description="An address's id.")] = None


_Some = Annotated[Replay, said(**some("first", "last", "callback"))]


class Callbacks(Struct, frozen=True):
    """The addresses of a channel: at most five."""

    items: list[AddressInfo]


@get("/api/channels/{key:str}/callbacks", scope="callbacks:read", channels="own")
async def list_callbacks(system: System, caller: Caller, key: FromPath[str]) -> Callbacks:
    """The channel's addresses, in the order they were added."""
    return Callbacks(await endpoint_rows.list_addresses(system, caller.channel(key)))


@post("/api/channels/{key:str}/callbacks", scope="callbacks:write", channels="own")
async def add_callback(
    system: System, caller: Caller, request: Call, key: FromPath[str], data: JSONBody[_New]
) -> Response[AddressInfo]:
    """Verify an address by an echo and keep it. The secret that signs what it is told stands in
    this answer alone. The first address is the default."""
    channel = caller.channel(key)
    made = await endpoints.add(
        system,
        channel,
        data.url,
        data.schedule,
        Proof(data.form, data.username, data.password),
        may_see_secret=caller.may_see_secret(channel),
    )
    return shown(request, made, 201)


@patch(
    "/api/channels/{key:str}/callbacks/{callback_id:int}", scope="callbacks:write", channels="own"
)
async def change_callback(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    callback_id: FromPath[int],
    data: JSONBody[CallbackChange],
) -> Response[AddressInfo]:
    """Verify it with another URL, form or credentials, and keep these."""
    channel = caller.channel(key)
    changed = await endpoints.change(
        system,
        channel,
        callback_id,
        Changes(**asdict(data)),
        may_see_secret=caller.may_see_secret(channel),
        expect=expected(request),
    )
    return shown(request, changed)


@post(
    "/api/channels/{key:str}/callbacks/{callback_id:int}/verify",
    scope="callbacks:write",
    channels="own",
    status_code=200,
)
async def verify_callback(
    system: System, caller: Caller, key: FromPath[str], callback_id: FromPath[int]
) -> AddressInfo:
    """Check it again; one that was disabled is told again from then on."""
    return await endpoints.verify(system, caller.channel(key), callback_id)


@post(
    "/api/channels/{key:str}/callbacks/{callback_id:int}/test",
    scope="callbacks:write",
    channels="own",
    status_code=200,
)
async def test_callback(
    system: System, caller: Caller, request: Call, key: FromPath[str], callback_id: FromPath[int]
) -> Tested:
    """Send it one sample record."""
    return await endpoints.test(system, caller.channel(key), callback_id, language_of(request))


@post(
    "/api/channels/{key:str}/callbacks/{callback_id:int}/default",
    scope="callbacks:write",
    channels="own",
    status_code=200,
)
async def make_callback_default(
    system: System, caller: Caller, key: FromPath[str], callback_id: FromPath[int]
) -> AddressInfo:
    """Make it the address of messages that name none."""
    return await endpoints.set_default(system, caller.channel(key), callback_id)


@post(
    "/api/channels/{key:str}/callbacks/{callback_id:int}/rotate",
    scope="callbacks:write",
    channels="own",
    status_code=200,
)
async def rotate_callback(
    system: System,
    caller: Caller,
    key: FromPath[str],
    callback_id: FromPath[int],
    data: JSONBody[SigningRotation],
) -> AddressInfo:
    """Give it a new secret, which stands in this answer alone."""
    channel = caller.channel(key)
    overlap = round(data.overlap_hours * clock.HOUR)
    return await endpoints.rotate(system, channel, callback_id, overlap)


@delete(
    "/api/channels/{key:str}/callbacks/{callback_id:int}", scope="callbacks:write", channels="own"
)
async def delete_callback(
    system: System, caller: Caller, key: FromPath[str], callback_id: FromPath[int]
) -> None:
    """Forget it, and what was still to be told there. Not the default one."""
    await endpoints.delete(system, caller.channel(key), callback_id)


@get("/api/channels/{key:str}/batches", scope="callbacks:read", channels="own")
async def list_batches(
    system: System,
    caller: Caller,
    paging: Paging,
    key: FromPath[str],
    of_state: Annotated[State | None, QueryParameter(name="state")] = None,
    callback: Annotated[
        int | None, QueryParameter(ge=1, le=2**63 - 1, description="An address's id.")
    ] = None,
    sort: FromQuery[ByTime] = "created_at",
) -> Page[BatchInfo]:
    """What was told, or is to be; `dead` is what was given up."""
    async with system.database.read() as tx:
        return await administration.list_batches(
            tx,
            caller.channel(key),
            state=of_state,
            address_id=callback,
            sort=sort,
            after=paging.after,
            limit=paging.limit,
        )


@get("/api/channels/{key:str}/batches/{batch_id:int}", scope="callbacks:read", channels="own")
async def show_batch(
    system: System, caller: Caller, key: FromPath[str], batch_id: FromPath[int]
) -> BatchDetail:
    """A batch with its records, as they are told."""
    async with system.database.read() as tx:
        return await administration.show_batch(tx, caller.channel(key), batch_id)


@post(
    "/api/channels/{key:str}/batches/replay",
    scope="callbacks:write",
    channels="own",
    status_code=200,
)
async def replay_batches(
    system: System, caller: Caller, key: FromPath[str], data: JSONBody[_Some]
) -> Replayed:
    """Send dead batches again, under their old ids."""
    return await administration.replay(
        system,
        caller.channel(key),
        first=data.first,
        last=data.last,
        address_id=data.callback,
    )


handlers = [
    list_callbacks,
    add_callback,
    change_callback,
    verify_callback,
    test_callback,
    make_callback_default,
    rotate_callback,
    delete_callback,
    list_batches,
    show_batch,
    replay_batches,
]
