"""The directory's snapshot: no change is missed, whenever it comes."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from ums.config import Settings
from ums.core.channels import channels
from ums.core.context import directory
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Snapshot, touch
from ums.core.maintenance.startup import open_system
from ums.core.tables import channels as rows


async def test_a_change_that_comes_while_it_is_read_is_not_missed(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await channels.create(system, "Shop", "shop")
    assert made.open
    read, go_on = asyncio.Event(), asyncio.Event()
    load = directory.load

    async def slow(*given: Any) -> Snapshot:
        found = await load(*given)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(directory, "load", slow)
    system.directory.forget()
    reading = asyncio.create_task(system.directory.now())
    await read.wait()
    async with system.database.write() as tx:
        await tx.run(update(rows).where(rows.c.key == "shop").values(open=False))
        await touch(tx)
    system.directory.forget()
    go_on.set()
    await reading
    assert not (await system.directory.now()).channels["shop"].open


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_channel_that_another_process_made_just_now_is_known(settings: Settings) -> None:
    async with open_system(settings) as one, open_system(settings) as two:
        assert (await two.directory.now()).channels == {}
        await channels.create(one, "New", "new")
        id = (await one.directory.now()).channels["new"].id
        assert (await two.directory.channel(id)).key == "new"
        with pytest.raises(KeyError):
            await two.directory.channel(id + 1)
