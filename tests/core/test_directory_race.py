"""The directory's snapshot: no change is missed, whenever it comes."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from ums.core import channels, directory
from ums.core.directory import Snapshot, touch
from ums.core.models import channels as rows
from ums.core.system import System


async def test_a_change_that_comes_while_it_is_read_is_not_missed(
    system: System, monkeypatch: pytest.MonkeyPatch
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
