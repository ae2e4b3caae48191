"""`kill -9` of the server while clients post (F11): 200 means stored, a key means one message."""

import asyncio
import random
from collections import defaultdict

import httpx
import pytest
from sqlalchemy import select

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import Account, account, request
from support.postgres import reserved_port
from ums.config import Settings
from ums.core.tables import messages
from ums.core.tables.states import OnUnknown
from ums.db import open_database

CLIENTS = 8


@pytest.mark.timeout(0)  # as long as --web-kills asks; each wait inside has its own end
def test_every_200_is_stored_and_every_key_is_one_message(
    settings: Settings, dialect: str, web_kills: int, record_property: Record
) -> None:
    with (
        reserved_port() as port,
        Ledger() as ledger,
        Engine(settings, serve=True, port=port) as engine,
    ):
        caller = asyncio.run(account(settings, ledger.port))
        answers, retries = asyncio.run(
            _post_while_killing(engine, port, caller, dialect, web_kills)
        )
        asyncio.run(drained(settings, 60 + 5 * web_kills))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
        stored = asyncio.run(_stored(settings))

    counts = f"{len(answers)} keys, {retries} retries; {result.summary()}"
    record_property("faults", f"{dialect}, {web_kills} kills while clients post: {counts}")
    assert retries > 0, "no kill met a request"
    assert all(len(msgids) == 1 for msgids in answers.values())
    assert sorted(stored) == sorted(msgid for (msgid,) in answers.values())
    result.check(size=len(answers))
    assert (
        sum(row.copies > 1 for row in result.of(OnUnknown.RESEND))
        <= web_kills * settings.smtp_sessions
    )


async def _post_while_killing(
    engine: Engine, port: int, account: Account, seed: str, kills: int
) -> tuple[dict[str, set[str]], int]:
    """The msgids each key got, and how many requests went without an answer."""
    chance = random.Random(seed)
    posting = _Clients(f"http://127.0.0.1:{port}", account)
    engine.start()
    tasks = [asyncio.create_task(posting.post(number)) for number in range(CLIENTS)]
    for _ in range(kills):
        await posting.hear()
        await asyncio.sleep(chance.uniform(0.0, 0.4))
        await asyncio.to_thread(engine.kill)
        engine.start()
    posting.over = True
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    return posting.answers, posting.retries


class _Clients:
    def __init__(self, url: str, account: Account) -> None:
        self._url, self._account = url, account
        self._heard = asyncio.Event()
        self.over = False
        self.answers: dict[str, set[str]] = defaultdict(set)
        self.retries = 0

    async def hear(self) -> None:
        """Wait for the next 200."""
        self._heard.clear()
        await asyncio.wait_for(self._heard.wait(), 60)

    async def post(self, number: int) -> None:
        """One client: post under ever new keys, each until it is answered 200."""
        count = 0
        async with httpx.AsyncClient(base_url=self._url, auth=self._account) as client:
            while not self.over:
                count += 1
                await self._until_stored(client, f"{number}-{count}")
                if count % 3 == 0:  # a caller that lost the answer asks once more
                    await self._until_stored(client, f"{number}-{count}")

    async def _until_stored(self, client: httpx.AsyncClient, key: str) -> None:
        body = request([f"{key}@direct.example"])
        while True:
            try:
                answer = await client.post("/v1/sent", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self.retries += 1
                await asyncio.sleep(0.05)  # the server is starting again
                continue
            assert answer.status_code == 200, answer.text
            self.answers[key].add(answer.json()["msgid"])
            self._heard.set()
            return


async def _stored(settings: Settings) -> list[str]:
    database = open_database(settings.database_url, settings.data_dir)
    async with database.read() as tx:
        found = [row[0] for row in await tx.rows(select(messages.c.msgid))]
    await database.close()
    return found
