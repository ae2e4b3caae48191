"""`/v1/user/opt` and `/v1/user/delete` as a caller sees them (ums-spec 3.10, 3.11, 7.2, 7.5)."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import AccessKey, Channel, touch
from ums.core.tables import addresses, channel_senders, senders, tags
from ums.core.tables import channels as channels_table
from ums.core.tables import users as users_table
from ums.core.users import users
from ums.core.users.users import Failure, Report, User
from ums.errors import Forbidden, Invalid

on_sqlite = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
"""For what has nothing to do with the database."""

KEY = AccessKey(1, "access", "", 0)


async def add_sender(system: AppContext, code: str, *keys: str) -> None:
    async with system.database.write() as tx:
        row = {"code": code, "name": code, "type": "email", "settings": "{}", "open": True}
        await tx.run(insert(senders), {**row, "created_at": 0})
        sender = await tx.value(select(senders.c.id).where(senders.c.code == code))
        for key in keys:
            channel = await tx.value(select(channels_table.c.id).where(channels_table.c.key == key))
            link = {"channel_id": channel, "sender_id": sender, "is_default": False}
            await tx.run(insert(channel_senders), link)
        await touch(tx)
    system.directory.forget()


@pytest.fixture
async def channel(system: AppContext) -> Channel:
    """Channel A, beside channel B; sender MINE is authorised to A, OTHER to B."""
    await channels.create(system, "A", key="A")
    await channels.create(system, "B", key="B")
    await add_sender(system, "MINE", "A")
    await add_sender(system, "OTHER", "B")
    system.directory.forget()
    return (await system.directory.now()).channels["A"]


async def found(system: AppContext, userid: str) -> User:
    async with system.database.read() as tx:
        user = await users.find(tx, userid)
    assert user is not None
    return user


async def count(system: AppContext, table: Any) -> int:
    async with system.database.read() as tx:
        return await tx.value(select(func.count()).select_from(table))


async def ok(system: AppContext, caller: users.Caller, *entries: Any) -> None:
    report = await users.opt(system, caller, list(entries))
    assert report.fail == []


async def refused(system: AppContext, caller: users.Caller, entry: Any) -> Failure:
    report = await users.opt(system, caller, [entry])
    assert report.success == []
    return report.fail[0]


async def test_email_guides_example(system: AppContext, channel: Channel) -> None:
    report = await users.opt(
        system, channel, [{"userid": "u1", "email": {"A": "someone@Example.com"}}]
    )
    assert report == Report(["u1"], [])
    user = await found(system, "u1")
    assert user.addresses == {"email": {"A": ["someone@example.com"]}}


@on_sqlite
async def test_set_form_of_the_same(system: AppContext, channel: Channel) -> None:
    await ok(system, channel, {"userid": "u1", "set": {"email": {"A": "someone@example.com"}}})
    assert (await found(system, "u1")).addresses == {"email": {"A": ["someone@example.com"]}}


@on_sqlite
async def test_deleting_the_own_address_leaves_the_one_for_all(
    system: AppContext, channel: Channel
) -> None:
    both = {"A": "a@example.com", "all": "all@example.com"}
    await ok(system, channel, {"userid": "u1", "email": both})
    await ok(system, channel, {"userid": "u1", "del": {"email": {"A": "a@EXAMPLE.com"}}})
    assert (await found(system, "u1")).addresses == {"email": {"all": ["all@example.com"]}}


async def test_channel_writes_nobody_elses_data(system: AppContext, channel: Channel) -> None:
    for entry, words in (
        ({"email": {"B": "a@example.com"}}, "belongs to another channel"),
        ({"set": {"tag": {"B": ["x"]}}}, "belongs to another channel"),
        ({"del": {"email": {"B": ""}}}, "belongs to another channel"),
        ({"app": {"OTHER": ["x"]}}, "belongs to another channel"),
        ({"email": {"nobody": "a@example.com"}}, "cannot be used here"),
        ({"email": {"MINE": "a@example.com"}}, "cannot be used here"),
        ({"app": {"all": ["x"]}}, "cannot be used here"),
        ({"app": {"A": ["x"]}}, "cannot be used here"),
    ):
        failure = await refused(system, channel, {"userid": "u1", **entry})
        assert failure.userid == "u1"
        assert failure.errcode == "4004"
        assert words in failure.errmsg
    assert await count(system, users_table) == 0
    await ok(system, channel, {"userid": "u1", "app": {"MINE": ["x"]}})
    await ok(system, KEY, {"userid": "u1", "app": {"OTHER": ["y"]}, "email": {"B": "b@a.org"}})


async def test_only_the_access_key_deletes(system: AppContext, channel: Channel) -> None:
    await ok(system, channel, {"userid": "u1"}, {"userid": "1", "tag": {"A": ["x"]}})
    with pytest.raises(Forbidden):
        await users.delete(system, channel, ["u1"])
    report = await users.delete(system, KEY, ["u1", 1, "gone", "u1", None, "a b"])
    assert report.success == ["u1", "1"]
    assert [(one.userid, one.errcode) for one in report.fail] == [
        ("gone", "4004"),
        ("u1", "4004"),
        ("", "4004"),
        ("a b", "4004"),
    ]
    assert [await count(system, table) for table in (users_table, addresses, tags)] == [0, 0, 0]


@on_sqlite
async def test_partial_success_in_the_callers_language(
    system: AppContext, channel: Channel
) -> None:
    good, bad = {"userid": "u1"}, {"userid": "u2", "email": {"A": "nonsense"}}
    report = await users.opt(system, channel, [bad, good], "zh-CN")
    assert report.success == ["u1"]
    assert report.fail[0].userid == "u2"
    assert "邮箱" in report.fail[0].errmsg
    assert await count(system, users_table) == 1


@on_sqlite
async def test_request_as_a_whole(system: AppContext, channel: Channel) -> None:
    for body in ({}, None, "x", 1):
        with pytest.raises(Invalid) as error:
            await users.opt(system, channel, body)
        assert error.value.reason == "not_array"
    for body in ([], [{"userid": "u"}] * 1001):
        for verb in (users.opt, users.delete):
            with pytest.raises(Invalid) as error:
                await verb(system, KEY, body)
            assert error.value.reason == "batch_size"


async def test_each_entry_is_atomic_and_in_order(system: AppContext, channel: Channel) -> None:
    many = [f"t{i}" for i in range(60)]
    report = await users.opt(
        system,
        channel,
        [
            {"userid": "u1", "email": {"A": "1@a.org"}},
            {"userid": "u1", "email": {"A": "2@a.org"}, "set": {"tag": {"A": many}}},
            {
                "userid": "u1",
                "email": {"A": "3@a.org"},
                "add": {"tag": {"A": [f"x{i}" for i in range(41)]}},
            },
            {
                "userid": "new",
                "email": {"A": "3@a.org"},
                "set": {"tag": {"A": many}},
                "add": {"tag": {"A": [f"x{i}" for i in range(41)]}},
            },
        ],
    )
    assert report.success == ["u1", "u1"]
    assert [one.userid for one in report.fail] == ["u1", "new"]
    assert "at most 100" in report.fail[0].errmsg
    user = await found(system, "u1")
    assert user.addresses == {"email": {"A": ["2@a.org"]}}
    assert user.tags == {"A": sorted(many)}
    assert await count(system, users_table) == 1


async def test_failing_entry_leaves_an_existing_user_alone(
    system: AppContext, channel: Channel
) -> None:
    await ok(system, channel, {"userid": "u1"})
    too_many = {"tag": {"A": [f"x{i}" for i in range(101)]}}
    await refused(system, channel, {"userid": "u1", "add": too_many})
    assert (await found(system, "u1")).tags == {}


@on_sqlite
async def test_numbers_as_userids(system: AppContext, channel: Channel) -> None:
    report = await users.opt(system, channel, [{"userid": n} for n in (7, 2**70, 5.0)])
    assert report.success == ["7", str(2**70), "5"]
    report = await users.opt(
        system, channel, [{"userid": bad} for bad in (True, 1.5, [], -(10**65))]
    )
    assert len(report.fail) == 4
    assert (await users.delete(system, KEY, [7, 5])).success == ["7", "5"]


@on_sqlite
async def test_goc_shapes(system: AppContext, channel: Channel) -> None:
    """One-element arrays, empty set and del objects, nulls (ums-spec 7.2 item 4)."""
    entry = {"email": {"A": ["a@example.com"]}, "phone": {"all": ["+86 138-0013-8000"]}}
    await ok(system, channel, {"userid": "u1", **entry, "set": {}, "del": {}, "add": None})
    user = await found(system, "u1")
    assert user.addresses == {
        "email": {"A": ["a@example.com"]},
        "phone": {"all": ["+8613800138000"]},
    }
    for wrong in ([], ["a@example.com", "b@example.com"]):
        failure = await refused(system, channel, {"userid": "u1", "email": {"A": wrong}})
        assert failure.errmsg == "email takes one value."


async def test_concurrent_calls_on_the_same_users(system: AppContext, channel: Channel) -> None:
    """No deadlock, no lost update: every call adds a tag of its own to the same 40 users."""
    everyone = [f"u{i}" for i in range(40)]

    async def one(number: int) -> None:
        mine = random.Random(number).sample(everyone, len(everyone))
        tag = {"tag": {"A": [f"t{number}"]}}
        await ok(system, channel, *({"userid": userid, "add": tag} for userid in mine))
        if number % 4 == 0:
            doomed = [f"d{i}" for i in range(20)]
            random.Random(number).shuffle(doomed)
            await ok(system, channel, *({"userid": userid, **tag} for userid in doomed))
            await users.delete(system, KEY, doomed[::-1])

    async with asyncio.timeout(60):
        await asyncio.gather(*(one(number) for number in range(20)))
    expected = sorted(f"t{number}" for number in range(20))
    for userid in ("u0", "u39"):
        assert (await found(system, userid)).tags == {"A": expected}
    assert await count(system, tags) == 40 * 20


async def test_thousand_users_in_one_call(system: AppContext, channel: Channel) -> None:
    def body(domain: str) -> list[Any]:
        return [{"userid": f"u{i}", "email": {"A": f"u{i}@{domain}"}} for i in range(1000)]

    for domain in ("a.org", "a.org", "b.org"):
        assert len((await users.opt(system, channel, body(domain))).success) == 1000
    assert await count(system, addresses) == 1000
    assert (await found(system, "u999")).addresses == {"email": {"A": ["u999@b.org"]}}


async def test_updated_at_grows_with_every_write(system: AppContext, channel: Channel) -> None:
    await ok(system, channel, {"userid": "u1"})
    first = await found(system, "u1")
    assert first.created_at == first.updated_at
    await ok(system, channel, {"userid": "u1"})
    second = await found(system, "u1")
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


async def test_what_is_refused_is_no_write(system: AppContext, channel: Channel) -> None:
    half = {"attributes": {"half": "x" * 10_000}}
    await ok(system, channel, *({"userid": userid, **half} for userid in ("u1", "u2", "u4")))
    before = [await found(system, userid) for userid in ("u1", "u2", "u4")]
    large = {"attributes": {"other": "x" * 10_000}}  # too much beside the first half
    body = [
        {"userid": "u1", **large},
        {"userid": "u2", **large},
        {"userid": "u2", "email": {"A": "u2@a.org"}},
        {"userid": "u3", "attributes": {"whole": "x" * 20_000}},
        {"userid": "u5", "email": {"A": "u5@a.org"}},
    ]
    report = await users.opt(system, channel, body)
    assert report.success == ["u2", "u5"]
    assert [one.userid for one in report.fail] == ["u1", "u2", "u3"]
    assert await found(system, "u1") == before[0]
    assert await found(system, "u4") == before[2]
    second = await found(system, "u2")
    assert second.updated_at > before[1].updated_at
    assert second.addresses == {"email": {"A": ["u2@a.org"]}}
    assert second.attributes == before[1].attributes
    assert await count(system, users_table) == 4


@on_sqlite
async def test_nobody(system: AppContext) -> None:
    async with system.database.read() as tx:
        assert await users.find(tx, "u1") is None
