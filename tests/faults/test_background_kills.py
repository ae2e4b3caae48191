"""`kill -9` of a worker at what it does beside sending: bringing a broadcast to its recipients
(reliability.md F12), and reading what came back (F16)."""

import asyncio
import random
import time
from collections import Counter

import pytest
from sqlalchemy import Executable, select, text, update

from faults.audit import Record, audit, counted, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from support import letters
from support.flow import until
from support.imap import ImapServer, mailbox_at
from support.telling import rows
from ums.config import Settings
from ums.core.deliveries.expansion import CHUNK
from ums.core.maintenance.startup import open_system
from ums.core.senders import mailboxes
from ums.core.tables import attempts, deliveries
from ums.core.tables import mailboxes as table
from ums.db import open_database
from ums.mail.imap import READ
from ums.mail.send_limits import SendLimit

pytestmark = [
    pytest.mark.timeout(0),  # as long as --phase-kills asks; each wait inside has its own end
]
LITTLE = SendLimit(count=1, seconds=86_400)  # so that next to nothing is sent meanwhile
EXPANDED = text("SELECT count(*) FROM deliveries")
OPEN = text("SELECT count(*) FROM messages WHERE state <> 'expanded'")
EACH_ONCE = text("SELECT count(*), count(DISTINCT userid), count(DISTINCT address) FROM deliveries")
LETTERS = 3 * READ
COMMANDS = ("LOGIN", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH", "LOGOUT")


def test_everybody_is_there_once(
    settings: Settings, dialect: str, phase_kills: int, record_property: Record
) -> None:
    size, kills = CHUNK * (2 * phase_kills + 2), 0
    chance = random.Random("expansion")
    with Ledger() as ledger, Engine(settings) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=size, single=0, caps=[LITTLE]))
        while kills < phase_kills and _value(settings, OPEN):
            known = _value(settings, EXPANDED)
            engine.start()
            asyncio.run(counted(settings, EXPANDED, lambda now, known=known: now > known, 60))
            time.sleep(chance.uniform(0, 0.2))  # somewhere in the next chunk
            engine.kill()
            kills += 1
            assert _value(settings, EXPANDED) % CHUNK == 0  # all of a chunk, or nothing
        engine.start()
        asyncio.run(counted(settings, OPEN, lambda left: not left, 120))
        engine.stop()
    found = asyncio.run(_row(settings, EACH_ONCE))
    told = f"{kills} kills while {size} are brought to their addresses: {found[1]} are there"
    record_property("faults", f"{dialect}, {told}, {found[0] - found[1]} twice")
    assert kills > 0
    assert found == (size, size, size)


async def test_each_letter_counts_once(
    settings: Settings, dialect: str, phase_kills: int, record_property: Record
) -> None:
    """Killed at any command, or while what was read is stored."""
    chance = random.Random("letters")
    with Ledger() as ledger:
        async with ImapServer() as box:
            ids = await _handed_over(settings, ledger, box)
            with Engine(settings) as engine:
                for _ in range(phase_kills):
                    await _killed_at(engine, box, chance)
                    await _due(settings)
                box.hold = None
                engine.start()
                await until(lambda: _read(settings), 60)
                await asyncio.to_thread(engine.stop)
        found = await audit(settings, ledger)
    async with open_system(settings) as system:
        tries = Counter(row.delivery_id for row in await rows(system, attempts))
        box_info = await mailboxes.show(system, "single")
    assert box_info is not None
    told = f"{phase_kills} kills while {LETTERS} letters are read: {box_info.bounced} counted"
    record_property("faults", f"{dialect}, {told}")
    assert Counter(found.states) == {"failed": LETTERS}
    assert tries == dict.fromkeys(ids, 2)  # that it was taken, and that it came back
    assert box_info.bounced == LETTERS


async def _handed_over(settings: Settings, ledger: Ledger, box: ImapServer) -> list[int]:
    """Mails that were taken, each with a letter in the mailbox that it came back."""
    await fill(settings, ledger.port, broadcast=0, single=LETTERS)
    with Engine(settings) as engine:
        engine.start()
        await drained(settings, 60)
        await asyncio.to_thread(engine.stop)
    async with open_system(settings) as system:
        await mailboxes.set_mailbox(system, "single", mailbox_at(box.port))
        ids = [row.id for row in await rows(system, deliveries)]
    for entry in ledger.entries:
        box.inbox.add(letters.report(entry.message_id, to=entry.address))
    return ids


async def _killed_at(engine: Engine, box: ImapServer, chance: random.Random) -> None:
    reached, command = asyncio.Event(), chance.choice(COMMANDS)
    left = chance.randrange(1, 40) if command == "UID FETCH" else 1

    async def hold(verb: str) -> None:
        nonlocal left
        left -= verb == command
        if left == 0:
            reached.set()

    box.hold = hold
    engine.start()
    await asyncio.wait_for(reached.wait(), 60)
    if command == "LOGOUT":  # now it stores what was read
        await asyncio.sleep(chance.uniform(0, 0.3))
    engine.kill()


async def _due(settings: Settings) -> None:
    """The time is over for which a worker that died kept the others away from the mailbox."""
    async with open_system(settings) as system, system.database.write() as tx:
        await tx.run(update(table).values(next_poll_at=0))


async def _read(settings: Settings) -> bool:
    return await _row(settings, select(table.c.uid)) == (LETTERS,)


def _value(settings: Settings, query: Executable) -> int:
    return int(asyncio.run(_row(settings, query))[0])


async def _row(settings: Settings, query: Executable) -> tuple[int, ...]:
    database = open_database(settings.database_url, settings.data_dir)
    async with database.read() as tx:
        found = await tx.first(query)
    await database.close()
    return tuple(found)
