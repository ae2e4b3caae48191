"""What was promised and what went out while a disk was recorded, to be held against what is found
after a power cut at any moment of it."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import NamedTuple, Self

import httpx

from faults.audit import Audit
from faults.ledger import Entry, Ledger
from faults.power import Step
from faults.workload import Account, request
from ums.config import Settings

REQUESTS = 60
PER_REQUEST = 5  # mails
SENDERS = 3  # of the broadcast, of the single mails, of what is posted


class Told(NamedTuple):
    """A 200, and the addresses that it promises mail to."""

    time: float  # by the wall clock
    addresses: list[str]


class Cut(NamedTuple):
    """A moment at which the power is lost: what was done to the disk, and known elsewhere."""

    steps: list[Step]
    told: list[Told]
    entries: list[Entry]


class History(NamedTuple):
    steps: list[Step]
    told: list[Told]
    entries: list[tuple[float, Entry]]  # by the wall clock

    @classmethod
    def of(cls, steps: list[Step], told: list[Told], ledger: Ledger) -> Self:
        offset = time.time() - time.monotonic()
        times = (at + offset for at in ledger.times)
        return cls(steps, told, list(zip(times, ledger.entries, strict=True)))

    def cuts(self, count: int, chance: random.Random) -> Iterator[Cut]:
        """So many moments of it, in their order."""
        for place in sorted(chance.choices(range(len(self.steps)), k=count)):
            at = self.steps[place].time
            told = [one for one in self.told if one.time < at]
            yield Cut(self.steps[:place], told, [e for seen, e in self.entries if seen < at])


async def post(port: int, account: Account) -> list[Told]:
    """Post messages one after the other to the server at `port`, from its start on."""
    told: list[Told] = []
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, auth=account, timeout=60) as client:
        for number in range(REQUESTS):
            addresses = [f"p{number}-{n}@direct.example" for n in range(PER_REQUEST)]
            await _until_told(client, request(addresses), f"power-{number}")
            told.append(Told(time.time(), addresses))
    return told


async def _until_told(client: httpx.AsyncClient, body: dict[str, object], key: str) -> None:
    headers = {"Idempotency-Key": key}
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = await client.post("/v1/sent", json=body, headers=headers)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server did not start"
            await asyncio.sleep(0.1)
            continue
        assert answer.status_code == 200, answer.text
        return


def check(result: Audit, cut: Cut, settings: Settings, size: int) -> None:
    """What was told is there, beside the `size` deliveries of before, and nothing is lost."""
    addresses = {row.address for row in result.rows}
    assert {address for one in cut.told for address in one.addresses} <= addresses
    assert len(result.rows) >= size
    result.check_bounds(len(result.rows))
    twice = sum(row.copies > 1 for row in result.rows)
    assert twice <= settings.smtp_sessions * SENDERS  # what was at the dot
