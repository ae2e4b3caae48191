"""Verbs of lists, approval, words and strategies."""

import msgspec
from msgspec import Struct

from ums.core.audit.audit_log import LOCAL
from ums.core.channels import access_lists, channels, content_filter, strategies
from ums.core.channels.access_lists import Entry, EntryKind, ListKind
from ums.core.channels.strategies import Step
from ums.core.common.channel_scope import Channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.deliveries import suppressions
from ums.core.messages import approval
from ums.core.messages.intake import Intake
from ums.core.verbs.base import Id, Verb


class ListCreate(Struct):
    channel: str
    name: str


class Paged(Struct):
    channel: str
    after: str | None = None
    limit: int = 100


class One(Struct):
    channel: str
    id: Id


class OnePaged(Struct):
    channel: str
    id: Id
    after: str | None = None
    limit: int = 100


class Entries(Struct):
    channel: str
    id: Id
    values: list[str]
    kind: EntryKind = "address"


class SuppressionList(Struct):
    channel: str
    address: str | None = None
    after: str | None = None
    limit: int = 100


class Suppress(Struct):
    channel: str
    addresses: list[str]


class MaybeChannel(Struct):
    channel: str | None = None
    after: str | None = None
    limit: int = 100


class Approve(Struct):
    msgid: str
    by: str | None = None  # an operator; None: whoever has the machine


class Refuse(Approve):
    why: str = ""


class OneWord(Struct):
    word: str
    channel: str | None = None


class AddWord(Struct):
    word: str
    channel: str | None = None
    exempt: bool = False


class StrategyCreate(Struct):
    channel: str
    name: str
    steps: list[Step] | None = None


async def _channel(system: AppContext, key: str) -> Channel:
    return channels.find(await system.directory.fresh(), key)


async def _maybe(system: AppContext, key: str | None) -> Channel | None:
    return None if key is None else await _channel(system, key)


def _list_verbs(kind: ListKind) -> dict[str, Verb]:
    async def create(system: AppContext, _: Intake, p: ListCreate) -> object:
        return await access_lists.create(system, await _channel(system, p.channel), kind, p.name)

    async def page(system: AppContext, _: Intake, p: Paged) -> object:
        channel = await _channel(system, p.channel)
        return await access_lists.list_lists(system, channel, kind, after=p.after, limit=p.limit)

    async def show(system: AppContext, _: Intake, p: OnePaged) -> object:
        channel = await _channel(system, p.channel)
        shown = await access_lists.show(system, channel, kind, p.id)
        given = await access_lists.entries(
            system, channel, kind, p.id, after=p.after, limit=p.limit
        )
        info = msgspec.structs.asdict(shown)
        return {**info, "values": given.items, "next": given.next}

    async def add(system: AppContext, _: Intake, p: Entries) -> object:
        channel = await _channel(system, p.channel)
        return await access_lists.add(
            system, channel, kind, p.id, [Entry(p.kind, v) for v in p.values]
        )

    async def remove(system: AppContext, _: Intake, p: Entries) -> object:
        channel = await _channel(system, p.channel)
        given = [Entry(p.kind, v) for v in p.values]
        return await access_lists.remove(system, channel, kind, p.id, given)

    async def delete(system: AppContext, _: Intake, p: One) -> object:
        await access_lists.remove_list(system, await _channel(system, p.channel), kind, p.id)
        return {"id": p.id}

    return {
        f"{kind}list.create": Verb(ListCreate, create),
        f"{kind}list.list": Verb(Paged, page),
        f"{kind}list.show": Verb(OnePaged, show),
        f"{kind}list.add": Verb(Entries, add),
        f"{kind}list.remove": Verb(Entries, remove),
        f"{kind}list.delete": Verb(One, delete),
    }


async def _suppression_list(system: AppContext, _: Intake, p: SuppressionList) -> object:
    channel = await _channel(system, p.channel)
    return await suppressions.list_suppressions(
        system, channel, address=p.address, after=p.after, limit=p.limit
    )


async def _suppression_add(system: AppContext, _: Intake, p: Suppress) -> object:
    return await suppressions.add(system, await _channel(system, p.channel), p.addresses)


async def _suppression_lift(system: AppContext, _: Intake, p: Suppress) -> object:
    return await suppressions.lift(system, await _channel(system, p.channel), p.addresses)


async def _approval_list(system: AppContext, _: Intake, p: MaybeChannel) -> object:
    channel = await _maybe(system, p.channel)
    return await approval.list_waiting(
        system, None if channel is None else channel.id, after=p.after, limit=p.limit
    )


async def _approver(system: AppContext, name: str | None) -> tuple[str, Channels]:
    if name is None:
        return LOCAL, None
    async with system.database.read() as tx:
        return await approval.approver(tx, name)


async def _approve(system: AppContext, _: Intake, p: Approve) -> object:
    actor, seen = await _approver(system, p.by)
    await approval.approve(system, p.msgid, actor, seen)
    return {"msgid": p.msgid, "approved": True}


async def _refuse(system: AppContext, _: Intake, p: Refuse) -> object:
    actor, seen = await _approver(system, p.by)
    await approval.refuse(system, p.msgid, actor, p.why, seen)
    return {"msgid": p.msgid, "approved": False}


async def _word_add(system: AppContext, _: Intake, p: AddWord) -> object:
    return await content_filter.add(
        system, p.word, await _maybe(system, p.channel), exempt=p.exempt
    )


async def _word_remove(system: AppContext, _: Intake, p: OneWord) -> object:
    await content_filter.remove(system, p.word, await _maybe(system, p.channel))
    return {"word": p.word}


async def _word_list(system: AppContext, _: Intake, p: MaybeChannel) -> object:
    channel = await _maybe(system, p.channel)
    return await content_filter.list_words(system, channel, after=p.after, limit=p.limit)


async def _strategy_create(system: AppContext, _: Intake, p: StrategyCreate) -> object:
    steps = [Step("email")] if p.steps is None else p.steps
    return await strategies.create(system, await _channel(system, p.channel), p.name, steps)


async def _strategy_list(system: AppContext, _: Intake, p: Paged) -> object:
    channel = await _channel(system, p.channel)
    return await strategies.list_strategies(system, channel, after=p.after, limit=p.limit)


async def _strategy_delete(system: AppContext, _: Intake, p: One) -> object:
    await strategies.remove(system, await _channel(system, p.channel), p.id)
    return {"id": p.id}


VERBS = {
    **_list_verbs("block"),
    **_list_verbs("allow"),
    "suppression.list": Verb(SuppressionList, _suppression_list),
    "suppression.add": Verb(Suppress, _suppression_add),
    "suppression.lift": Verb(Suppress, _suppression_lift),
    "approval.list": Verb(MaybeChannel, _approval_list),
    "approval.approve": Verb(Approve, _approve),
    "approval.refuse": Verb(Refuse, _refuse),
    "word.add": Verb(AddWord, _word_add),
    "word.remove": Verb(OneWord, _word_remove),
    "word.list": Verb(MaybeChannel, _word_list),
    "strategy.create": Verb(StrategyCreate, _strategy_create),
    "strategy.list": Verb(Paged, _strategy_list),
    "strategy.delete": Verb(One, _strategy_delete),
}
