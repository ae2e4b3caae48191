"""Made-up data looks like real data, is at its end already, and comes out the same each time."""

import re
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import func, select

from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion, queue
from ums.core.messages import template_preview
from ums.core.reporting.reason_texts import REASONS
from ums.core.tables import (
    addresses,
    attempts,
    deliveries,
    messages,
    metadata,
    senders,
    templates,
    users,
)
from ums.core.tables.states import FINAL
from ums.sample_data.catalogue import CHANNELS
from ums.sample_data.seed import has_messages, seed

OF_NOBODY = re.compile(r"[a-z0-9.]+@(example\.(com|net|org)|[a-z0-9]+\.example)")  # RFC 2606


async def rows(system: AppContext, table: str) -> list[Any]:
    async with system.database.read() as tx:
        return list(await tx.rows(select(metadata.tables[table])))


async def test_an_empty_installation_is_filled(system: AppContext) -> None:
    assert not await has_messages(system)
    done = await seed(system, users=400, messages=60)
    assert await has_messages(system)
    assert done.channels == [one.key for one in CHANNELS]
    assert done.users == len(await rows(system, users.name)) == 400
    assert done.messages == len(await rows(system, messages.name)) == 60
    assert done.deliveries == len(await rows(system, deliveries.name)) > 100
    assert {row.channel_id for row in await rows(system, messages.name)} == {1, 2, 3}
    names = {row.attributes["name"] for row in await rows(system, users.name)}
    assert len({name for name in names if name.isascii()}) > 50
    assert len({name for name in names if re.fullmatch("[\u4e00-\u9fff]{2,4}", name)}) > 100


async def test_every_address_is_nobodys(system: AppContext) -> None:
    await seed(system, users=400, messages=60)
    found = [row.value for row in await rows(system, addresses.name)]
    assert [value for value in found if not OF_NOBODY.fullmatch(value)] == []
    known = {*found, ""}
    assert {row.address for row in await rows(system, deliveries.name)} <= known
    assert {row.type for row in await rows(system, senders.name)} == {"sandbox"}


async def test_nothing_is_left_to_be_sent(system: AppContext) -> None:
    await seed(system, users=400, messages=60)
    assert not await expansion.expand(system.database)
    async with system.database.read() as tx:
        assert await queue.ready(tx) == []
        states = {row.state for row in await tx.rows(select(deliveries.c.state))}
    assert {"sent", "failed"} <= states <= set(FINAL)


async def test_counts_and_attempts_fit_the_outcomes(system: AppContext) -> None:
    await seed(system, users=400, messages=60)
    size = Counter(row.message_id for row in await rows(system, deliveries.name))
    assert {row.id: row.audience_size for row in await rows(system, messages.name)} == size
    tried = Counter(row.delivery_id for row in await rows(system, attempts.name))
    by_id = {row.id: row for row in await rows(system, deliveries.name)}
    assert {id: row.tries for id, row in by_id.items() if row.tries} == tried
    assert {row.reason for row in by_id.values()} - {""} <= REASONS.keys()
    async with system.database.read() as tx:
        last = select(attempts.c.delivery_id, func.max(attempts.c.number).label("number"))
        last_of = last.group_by(attempts.c.delivery_id).subquery()
        ends = select(attempts).join(
            last_of,
            (last_of.c.delivery_id == attempts.c.delivery_id)
            & (last_of.c.number == attempts.c.number),
        )
        for row in await tx.rows(ends):
            assert (row.verdict == "sent") == (by_id[row.delivery_id].state == "sent")
            assert by_id[row.delivery_id].created_at <= row.started_at
            assert row.started_at <= by_id[row.delivery_id].updated_at


async def test_its_templates_greet_their_users(system: AppContext) -> None:
    await seed(system, users=40, messages=1)
    people = {row.userid: row.attributes["name"] for row in await rows(system, users.name)}
    snapshot = await system.directory.now()
    for row in await rows(system, templates.name):
        channel = snapshot.channel_ids[row.channel_id]
        shown = await template_preview.preview(system, channel, row.id, userid="sample-000007")
        assert people["sample-000007"] in (shown.html or "").replace("&#39;", "'")


async def test_a_second_time_makes_the_same_people_and_channels(system: AppContext) -> None:
    first = await seed(system, users=50, messages=5)
    before = {(row.userid, str(row.attributes)) for row in await rows(system, users.name)}
    again = await seed(system, users=50, messages=5)
    assert again == first
    assert {(row.userid, str(row.attributes)) for row in await rows(system, users.name)} == before
    assert len(await rows(system, messages.name)) == 10
    assert len(await rows(system, templates.name)) == 6


async def test_a_channel_that_is_there_gets_all_of_it(system: AppContext) -> None:
    await channels.create(system, "Own", "own")
    own = (await system.directory.now()).channels["own"]
    done = await seed(system, users=50, messages=20, channel=own)
    assert done.channels == ["own"]
    now = await system.directory.now()
    assert list(now.channels) == ["own"]
    assert now.channels["own"].senders == ()  # it sends as before
    assert {row.channel_id for row in await rows(system, messages.name)} == {own.id}


@pytest.mark.parametrize("users", [0, 1])
async def test_few_people_are_enough(system: AppContext, users: int) -> None:
    done = await seed(system, users=users, messages=4)
    assert (done.users, done.messages, done.deliveries) == (users, 4 * users, 4 * users)
