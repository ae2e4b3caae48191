"""What an administrator on the machine can do, by name.

The `ums` command runs these in its own process, or hands them to the server that holds the
database; either way it is this code that does the work.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from ums import __version__, clock
from ums.core import (
    access,
    channels,
    checkup,
    imports,
    operators,
    rejects,
    reports,
    schema,
    segments,
    sender_test,
    senders,
)
from ums.core.messages import Intake
from ums.core.senders import NewSender
from ums.core.system import System
from ums.errors import Invalid

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Hours = Annotated[float, Meta(ge=0, le=366 * 24)]


class Nothing(Struct):
    pass


class ChannelCreate(Struct):
    name: str
    key: str | None = None


class ChannelKey(Struct):
    key: str


class ChannelRotate(Struct):
    key: str
    overlap_hours: Hours = 24.0


class SenderTest(Struct):
    code: str
    to: str | None = None


class Authorise(Struct):
    code: str
    channel: str
    default: bool = False


class ImportOpen(Struct):
    path: str
    bind_id: str
    name: str


class ImportId(Struct):
    id: Id


class ImportRejects(Struct):
    id: Id
    target: str


class Send(Struct):
    channel: str
    body: dict[str, Any]
    broadcast: bool = False
    key: str | None = None


class MessageShow(Struct):
    msgid: str
    deliveries: bool = False
    state: str | None = None
    after: str | None = None
    limit: int = 100


class SegmentCreate(Struct):
    name: str


class OperatorCreate(Struct):
    name: str
    password: str


SEALING = {"channel.create", "accesskey.create", "sender.create"}


class Verb(NamedTuple):
    params: type[Struct]
    run: Callable[[System, Intake, Any], Awaitable[object]]


async def call(system: System, intake: Intake, name: str, params: object) -> object:
    """Run the verb. Raises UmsError, Invalid("verb_unknown") among them."""
    verb = VERBS.get(name)
    if verb is None:
        raise Invalid("verb_unknown", name=name[:40])
    try:
        given = msgspec.convert(params, verb.params)
    except msgspec.ValidationError as error:
        raise Invalid("misfit", field=name, detail=str(error)) from None
    _refuse_null(name, given)
    if name in SEALING:
        # A folder without the right key has made one of its own: what it sealed, no other
        # machine could read.
        await checkup.require_key(system)
    return await verb.run(system, intake, given)


def _refuse_null(name: str, given: Struct) -> None:
    """PostgreSQL cannot so much as look for a text with a null character."""
    for value in msgspec.structs.asdict(given).values():
        texts: list[object] = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and "\x00" in text for text in texts):
            raise Invalid("control_characters", field=name)


async def _channel_create(system: System, _: Intake, p: ChannelCreate) -> object:
    return await channels.create(system, p.name, p.key)


async def _channel_list(system: System, _: Intake, _p: Nothing) -> object:
    return await channels.list_channels(system)


async def _channel_rotate(system: System, _: Intake, p: ChannelRotate) -> object:
    return await channels.rotate(system, p.key, round(p.overlap_hours * clock.HOUR))


async def _channel_open(system: System, _: Intake, p: ChannelKey) -> object:
    return await channels.set_open(system, p.key, open=True)


async def _channel_close(system: System, _: Intake, p: ChannelKey) -> object:
    return await channels.set_open(system, p.key, open=False)


async def _accesskey_create(system: System, _: Intake, _p: Nothing) -> object:
    return await access.create_access_key(system)


async def _sender_create(system: System, _: Intake, p: NewSender) -> object:
    return await senders.create(system, p)


async def _sender_change(system: System, _: Intake, p: NewSender) -> object:
    return await senders.change(system, p)


async def _sender_list(system: System, _: Intake, _p: Nothing) -> object:
    return await senders.list_senders(system)


async def _sender_test(system: System, _: Intake, p: SenderTest) -> object:
    return await sender_test.run(system, p.code, p.to)


async def _sender_authorise(system: System, _: Intake, p: Authorise) -> object:
    return await senders.authorise(system, p.code, p.channel, default=p.default)


async def _import_open(system: System, _: Intake, p: ImportOpen) -> object:
    return await imports.open_import(system, Path(p.path), bind_id=p.bind_id, name=p.name)


async def _import_show(system: System, _: Intake, p: ImportId) -> object:
    async with system.database.read() as tx:
        found = await imports.show(tx, p.id)
    if found is None:
        raise Invalid("import_unknown", id=p.id)
    shown: dict[str, Any] = msgspec.to_builtins(found)
    times = {name: shown[name] for name in ("created_at", "finished_at") if shown[name]}
    return shown | {name: clock.iso(moment) for name, moment in times.items()}


async def _import_rejects(system: System, _: Intake, p: ImportRejects) -> object:
    await rejects.rejected_workbook(system, p.id, Path(p.target))
    return {"file": p.target}


async def _send(system: System, intake: Intake, p: Send) -> object:
    system.directory.forget()
    channel = channels.find(await system.directory.now(), p.channel)
    body = msgspec.json.encode(p.body)
    return await intake.accept(channel, body, broadcast=p.broadcast, key=p.key)


async def _message_show(system: System, _: Intake, p: MessageShow) -> object:
    async with system.database.read() as tx:
        shown: dict[str, Any] = msgspec.to_builtins(await reports.message(tx, p.msgid))
        if p.deliveries:
            page = await reports.list_deliveries(
                tx, p.msgid, state=p.state, after=p.after, limit=p.limit
            )
            shown["deliveries"] = msgspec.to_builtins(page.items)
            shown["next"] = page.next
    return shown


async def _segment_create(system: System, _: Intake, p: SegmentCreate) -> object:
    return await segments.create(system, p.name)


async def _segment_list(system: System, _: Intake, _p: Nothing) -> object:
    return await segments.list_segments(system)


async def _version(_system: System, _: Intake, _p: Nothing) -> object:
    return {"version": __version__}


async def _migrate(system: System, _: Intake, _p: Nothing) -> object:
    # Whoever has the database open has migrated it.
    return {"revision": await schema.revision(system.database)}


async def _doctor(system: System, _: Intake, _p: Nothing) -> object:
    return await checkup.examine(system)


async def _operator_create(system: System, _: Intake, p: OperatorCreate) -> object:
    await operators.create(system, p.name, p.password)
    return {"name": p.name}


VERBS: dict[str, Verb] = {
    "channel.create": Verb(ChannelCreate, _channel_create),
    "channel.list": Verb(Nothing, _channel_list),
    "channel.rotate": Verb(ChannelRotate, _channel_rotate),
    "channel.open": Verb(ChannelKey, _channel_open),
    "channel.close": Verb(ChannelKey, _channel_close),
    "accesskey.create": Verb(Nothing, _accesskey_create),
    "sender.create": Verb(NewSender, _sender_create),
    "sender.change": Verb(NewSender, _sender_change),
    "sender.list": Verb(Nothing, _sender_list),
    "sender.test": Verb(SenderTest, _sender_test),
    "sender.authorise": Verb(Authorise, _sender_authorise),
    "import.open": Verb(ImportOpen, _import_open),
    "import.show": Verb(ImportId, _import_show),
    "import.rejects": Verb(ImportRejects, _import_rejects),
    "message.send": Verb(Send, _send),
    "message.show": Verb(MessageShow, _message_show),
    "segment.create": Verb(SegmentCreate, _segment_create),
    "segment.list": Verb(Nothing, _segment_list),
    "version": Verb(Nothing, _version),
    "migrate": Verb(Nothing, _migrate),
    "doctor": Verb(Nothing, _doctor),
    "operator.set": Verb(OperatorCreate, _operator_create),
}
