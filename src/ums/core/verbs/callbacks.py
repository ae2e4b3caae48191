"""Verbs of callbacks."""

from typing import Final

from msgspec import Struct

from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages.intake import Intake
from ums.core.verbs.base import Hours, Id, Verb
from ums.core.webhooks import administration, endpoint_rows, endpoints
from ums.core.webhooks.backoff import HOSTED
from ums.core.webhooks.endpoints import Changes
from ums.core.webhooks.signatures import SIGNED, Proof

LOCAL_MAY: Final = True
"""Who has the machine replaces any MasterSecret anyway."""


class CallbackChannel(Struct):
    channel: str


class CallbackAdd(Struct):
    channel: str
    url: str
    schedule: str = HOSTED

    form: str = SIGNED
    username: str = ""
    password: str = ""


class CallbackAddress(Struct):
    channel: str
    address: str  # its id or its URL


class CallbackChange(CallbackAddress):
    url: str | None = None  # None leaves a thing as it is
    form: str | None = None
    username: str | None = None
    password: str | None = None


class CallbackRotate(CallbackAddress):
    overlap_hours: Hours = 24.0


class CallbackBatches(Struct):
    channel: str
    state: str | None = None
    address: str | None = None
    after: str | None = None
    limit: int = 50


class CallbackBatch(Struct):
    channel: str
    id: Id


class CallbackReplay(Struct):
    channel: str
    first: Id | None = None
    last: Id | None = None
    address: str | None = None


async def _channel(system: AppContext, key: str) -> Channel:
    return channels.find(await system.directory.fresh(), key)


async def _id(system: AppContext, channel: Channel, address: str | None) -> int | None:
    return None if address is None else await endpoint_rows.find(system, channel, address)


async def _add(system: AppContext, _: Intake, p: CallbackAdd) -> object:
    channel, proof = await _channel(system, p.channel), Proof(p.form, p.username, p.password)
    return await endpoints.add(system, channel, p.url, p.schedule, proof, may_see_secret=LOCAL_MAY)


async def _change(system: AppContext, _: Intake, p: CallbackChange) -> object:
    channel = await _channel(system, p.channel)
    id = await endpoint_rows.find(system, channel, p.address)
    given = {"url": p.url, "form": p.form, "username": p.username, "password": p.password}
    changes = Changes(**{name: value for name, value in given.items() if value is not None})
    return await endpoints.change(system, channel, id, changes, may_see_secret=LOCAL_MAY)


async def _list(system: AppContext, _: Intake, p: CallbackChannel) -> object:
    return await endpoint_rows.list_addresses(system, await _channel(system, p.channel))


async def _verify(system: AppContext, _: Intake, p: CallbackAddress) -> object:
    channel = await _channel(system, p.channel)
    return await endpoints.verify(
        system, channel, await endpoint_rows.find(system, channel, p.address)
    )


async def _default(system: AppContext, _: Intake, p: CallbackAddress) -> object:
    channel = await _channel(system, p.channel)
    id = await endpoint_rows.find(system, channel, p.address)
    return await endpoints.set_default(system, channel, id)


async def _delete(system: AppContext, _: Intake, p: CallbackAddress) -> object:
    channel = await _channel(system, p.channel)
    id = await endpoint_rows.find(system, channel, p.address)
    await endpoints.delete(system, channel, id)
    return {"id": id}


async def _rotate(system: AppContext, _: Intake, p: CallbackRotate) -> object:
    channel = await _channel(system, p.channel)
    id = await endpoint_rows.find(system, channel, p.address)
    return await endpoints.rotate(system, channel, id, round(p.overlap_hours * clock.HOUR))


async def _test(system: AppContext, _: Intake, p: CallbackAddress) -> object:
    channel = await _channel(system, p.channel)
    return await endpoints.test(
        system, channel, await endpoint_rows.find(system, channel, p.address)
    )


async def _batches(system: AppContext, _: Intake, p: CallbackBatches) -> object:
    channel = await _channel(system, p.channel)
    id = await _id(system, channel, p.address)
    async with system.database.read() as tx:
        return await administration.list_batches(
            tx, channel, state=p.state, address_id=id, after=p.after, limit=p.limit
        )


async def _batch(system: AppContext, _: Intake, p: CallbackBatch) -> object:
    channel = await _channel(system, p.channel)
    async with system.database.read() as tx:
        return await administration.show_batch(tx, channel, p.id)


async def _replay(system: AppContext, _: Intake, p: CallbackReplay) -> object:
    channel = await _channel(system, p.channel)
    id = await _id(system, channel, p.address)
    return await administration.replay(system, channel, first=p.first, last=p.last, address_id=id)


VERBS = {
    "callback.add": Verb(CallbackAdd, _add),
    "callback.change": Verb(CallbackChange, _change),
    "callback.list": Verb(CallbackChannel, _list),
    "callback.verify": Verb(CallbackAddress, _verify),
    "callback.default": Verb(CallbackAddress, _default),
    "callback.delete": Verb(CallbackAddress, _delete),
    "callback.rotate": Verb(CallbackRotate, _rotate),
    "callback.test": Verb(CallbackAddress, _test),
    "callback.batches": Verb(CallbackBatches, _batches),
    "callback.batch": Verb(CallbackBatch, _batch),
    "callback.replay": Verb(CallbackReplay, _replay),
}
