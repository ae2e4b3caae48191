"""Blocklists and allowlists: what stands on them, and whom a message then reaches."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from support.flow import Flow, open_flow
from ums import clock
from ums.core.channels import access_lists, channels
from ums.core.channels.access_lists import Entry, ListKind
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.deliveries import expansion
from ums.core.deliveries.expansion import expand
from ums.core.senders import senders
from ums.core.tables import list_entries
from ums.engine.maintenance import tidy
from ums.errors import Invalid, NotFound, Refused, UmsError


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    flow = await open_flow(system, 25)
    await flow.add_users({name: f"{name}@x.cn" for name in ("a", "b", "c")})
    return flow


async def made(flow: Flow, kind: ListKind, *given: tuple[str, str]) -> int:
    """A list of (kind, value); its id."""
    channel = await flow.channel()
    shown = await access_lists.create(flow.system, channel, kind, f"list {given}"[:60])
    if given:
        entries = [Entry(*pair) for pair in given]  # type: ignore[arg-type]
        await access_lists.add(flow.system, channel, kind, shown.id, entries)
    return shown.id


async def outcome(flow: Flow, msgid: str) -> dict[str, str]:
    """userid, or address: "" for who gets it, else the reason."""
    while await expand(flow.system.database):
        pass
    return {row.userid or row.address: row.reason for row in await flow.deliveries(msgid)}


WAYS: dict[str, dict[str, Any]] = {
    "direct": {"aud_email": [{"data": ["a@x.cn", "b@x.cn", "c@x.cn"]}]},
    "listed": {"aud_userid": ["a", "b", "c"]},
    "members": {"broadcast": True},
}


def users_of(found: dict[str, str]) -> dict[str, str]:
    return {name.partition("@")[0]: reason for name, reason in found.items()}


@pytest.mark.parametrize("way", WAYS)
async def test_a_blocklist_keeps_its_addresses_out(flow: Flow, way: str) -> None:
    id = await made(flow, "block", ("address", " b@X.CN "), ("userid", "c"))
    msgid = await flow.accept(**WAYS[way], option={"black_id": id})
    # With direct addresses there are no userids, so only the addresses of the list count.
    third = "" if way == "direct" else "blocked"
    assert users_of(await outcome(flow, msgid)) == {"a": "", "b": "blocked", "c": third}
    assert {row.state for row in await flow.deliveries(msgid) if row.reason} == {"invalid"}


@pytest.mark.parametrize("way", WAYS)
async def test_an_allowlist_lets_nobody_else_in(flow: Flow, way: str) -> None:
    id = await made(flow, "allow", ("address", "b@x.cn"), ("userid", "c"))
    msgid = await flow.accept(**WAYS[way], option={"white_id": id})
    third = "not_allowed" if way == "direct" else ""
    expected = {"a": "not_allowed", "b": "", "c": third}
    assert users_of(await outcome(flow, msgid)) == expected


@pytest.mark.parametrize("way", WAYS)
async def test_empty_lists(flow: Flow, way: str) -> None:
    block, allow = await made(flow, "block"), await made(flow, "allow")
    free = await flow.accept(**WAYS[way], option={"black_id": block})
    assert set((await outcome(flow, free)).values()) == {""}
    shut = await flow.accept(**WAYS[way], option={"white_id": allow})
    assert set((await outcome(flow, shut)).values()) == {"not_allowed"}


async def test_a_blocked_user_takes_nobodys_address_away(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flow.add_users({"d": "a@x.cn", "e": "a@x.cn"})
    id = await made(flow, "block", ("userid", "a"))
    listed = await flow.accept(aud_userid=["a", "d", "e"], option={"black_id": id})
    expected = {"a": "blocked", "d": "", "e": "duplicate"}
    assert await outcome(flow, listed) == expected
    monkeypatch.setattr(expansion, "CHUNK", 1)
    everyone = await flow.accept(broadcast=True, option={"black_id": id})
    assert await outcome(flow, everyone) == {**expected, "b": "", "c": ""}


async def test_lists_of_several_messages_in_one_expansion(flow: Flow) -> None:
    first = await made(flow, "block", ("address", "a@x.cn"))
    second = await made(flow, "block", ("address", "b@x.cn"))
    one = await flow.accept(**WAYS["direct"], option={"black_id": first})
    two = await flow.accept(**WAYS["direct"], option={"black_id": second})
    three = await flow.accept(**WAYS["direct"])
    assert (await outcome(flow, one))["a@x.cn"] == "blocked"
    assert await outcome(flow, two) == {"a@x.cn": "", "b@x.cn": "blocked", "c@x.cn": ""}
    assert set((await outcome(flow, three)).values()) == {""}


async def other_channel(flow: Flow) -> Flow:
    await channels.create(flow.system, "Other", "5678")
    await senders.authorise(flow.system, "main", "5678")
    return Flow(flow.system, "5678")


async def test_an_id_that_is_no_list_of_the_channel_is_refused(flow: Flow) -> None:
    other = await other_channel(flow)
    block, allow = await made(flow, "block"), await made(flow, "allow")
    for name, error, code, ids in (
        ("black_id", Refused, 1015046, (allow, block + 100, -1, 2**63, 10**30)),
        ("white_id", Invalid, 4004, (block, allow + 100, -1, 2**63, 10**30)),
    ):
        for id in ids:
            with pytest.raises(error) as refused:
                await flow.accept(**WAYS["direct"], option={name: id})
            assert refused.value.code == code
    for name, id in (("black_id", block), ("white_id", allow)):
        with pytest.raises(UmsError):
            await other.accept(**WAYS["direct"], option={name: id})
        assert await flow.accept(**WAYS["direct"], option={name: id})
    for name in ("black_id", "white_id"):
        for nothing in (0, None):
            assert await flow.accept(**WAYS["direct"], option={name: nothing})


async def test_a_deleted_list_still_holds_for_what_was_accepted_with_it(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await made(flow, "block", ("address", "b@x.cn"))
    channel = await flow.channel()
    msgid = await flow.accept(**WAYS["direct"], option={"black_id": id})
    await access_lists.remove_list(flow.system, channel, "block", id)
    with pytest.raises(Refused):
        await flow.accept(**WAYS["direct"], option={"black_id": id})
    with pytest.raises(NotFound):
        await access_lists.show(flow.system, channel, "block", id)
    later = clock.now() + 2 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    await tidy(flow.system, 0)
    assert await kept(flow) == 1  # a message waits for it
    assert (await outcome(flow, msgid))["b@x.cn"] == "blocked"
    await tidy(flow.system, 0)
    assert await kept(flow) == 0


async def kept(flow: Flow) -> int:
    async with flow.system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(list_entries)))


async def test_a_list_is_kept_while_a_message_may_be_on_its_way_in(flow: Flow) -> None:
    id = await made(flow, "block", ("address", "b@x.cn"))
    await access_lists.remove_list(flow.system, await flow.channel(), "block", id)
    await tidy(flow.system, 0)
    assert await kept(flow) == 1


async def test_entries_come_and_go(flow: Flow) -> None:
    channel = await flow.channel()
    id = await made(flow, "block")
    wanted = [Entry("address", f"{name}@x.cn") for name in "cab"] + [Entry("userid", "a@x.cn")]
    args = (flow.system, channel, "block", id)
    assert await access_lists.add(*args, wanted) == access_lists.Change(4, 0)
    assert await access_lists.add(*args, [*wanted[:2], *wanted[:2], Entry("userid", "z")]) == (
        access_lists.Change(1, 2)
    )
    first = await access_lists.entries(*args, limit=3)
    assert [entry.value for entry in first.items] == ["a@x.cn", "b@x.cn", "c@x.cn"]
    second = await access_lists.entries(*args, limit=3, after=first.next)
    assert second.items == [Entry("userid", "a@x.cn"), Entry("userid", "z")]
    assert second.next is None
    gone = [Entry("userid", "z"), Entry("address", "z@x.cn")]
    assert await access_lists.remove(*args, gone) == access_lists.Change(1, 1)
    assert (await access_lists.show(*args)).entries == 4


async def test_one_bad_entry_refuses_them_all(flow: Flow) -> None:
    channel, id = await flow.channel(), await made(flow, "allow")
    good = Entry("address", "a@x.cn")
    for bad, reason in (
        (Entry("address", "no address"), "bad_address"),
        (Entry("userid", "a b"), "bad_userid"),
        (Entry("userid", "x\0"), "bad_userid"),
    ):
        with pytest.raises(Invalid) as refused:
            await access_lists.add(flow.system, channel, "allow", id, [good, bad])
        assert (refused.value.reason, refused.value.values["field"]) == (reason, "entries[1]")
    for count in (0, access_lists.MAX_ENTRIES + 1):
        with pytest.raises(Invalid):
            await access_lists.add(flow.system, channel, "allow", id, [good] * count)
    assert (await access_lists.show(flow.system, channel, "allow", id)).entries == 0


async def test_lists_are_their_channels_own(flow: Flow) -> None:
    other = await (await other_channel(flow)).channel()
    id = await made(flow, "block", ("userid", "a"))
    foreign: tuple[AppContext, Channel, ListKind, int] = (flow.system, other, "block", id)
    wrong: tuple[AppContext, Channel, ListKind, int] = (
        flow.system,
        await flow.channel(),
        "allow",
        id,
    )
    for args in (foreign, wrong):
        for work in (
            access_lists.show(*args),
            access_lists.entries(*args),
            access_lists.add(*args, [Entry("userid", "b")]),
            access_lists.remove(*args, [Entry("userid", "a")]),
            access_lists.remove_list(*args),
        ):
            with pytest.raises(NotFound) as refused:
                await work
            assert refused.value.reason == "list_unknown"
    assert (await access_lists.list_lists(flow.system, other, "block")).items == []
    assert (await access_lists.show(flow.system, await flow.channel(), "block", id)).entries == 1


async def test_names_are_unique_per_channel_and_kind_and_free_again(flow: Flow) -> None:
    channel = await flow.channel()
    first = await access_lists.create(flow.system, channel, "block", "投诉用户")
    await access_lists.create(flow.system, channel, "allow", "投诉用户")
    await access_lists.create(
        flow.system, await (await other_channel(flow)).channel(), "block", "投诉用户"
    )
    with pytest.raises(Invalid) as refused:
        await access_lists.create(flow.system, channel, "block", "投诉用户")
    assert refused.value.reason == "name_taken"
    await access_lists.remove_list(flow.system, channel, "block", first.id)
    again = await access_lists.create(flow.system, channel, "block", "投诉用户")
    assert again.id > first.id
    for bad in ("", " x", "x" * 61, "a\nb", "a\0"):
        with pytest.raises(Invalid):
            await access_lists.create(flow.system, channel, "block", bad)


async def test_pages_of_lists(flow: Flow) -> None:
    channel = await flow.channel()
    made = [await access_lists.create(flow.system, channel, "block", f"l{i}") for i in range(5)]
    first = await access_lists.list_lists(flow.system, channel, "block", limit=3)
    rest = await access_lists.list_lists(flow.system, channel, "block", limit=3, after=first.next)
    assert [*first.items, *rest.items] == made
    assert rest.next is None
    for after, limit in (("x", 3), ("-1", 3), (None, 0), (None, 501)):
        with pytest.raises(Invalid):
            await access_lists.list_lists(flow.system, channel, "block", after=after, limit=limit)


async def test_many_may_write_one_list_at_once(flow: Flow) -> None:
    channel, id = await flow.channel(), await made(flow, "block")
    some = [[Entry("address", f"{i}-{j % 20}@x.cn") for j in range(40)] for i in (1, 1, 2, 2)]
    changes = await asyncio.gather(
        *(access_lists.add(flow.system, channel, "block", id, entries) for entries in some)
    )
    assert sum(change.changed for change in changes) == 40
    assert (await access_lists.show(flow.system, channel, "block", id)).entries == 40
