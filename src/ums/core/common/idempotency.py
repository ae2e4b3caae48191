"""Answers kept under an Idempotency-Key, so that a repeated request is answered, not done.

A key belongs to its caller for a day. While the first request is being answered others with the
key are told to wait; only the answer of one that succeeded is kept, for one that failed did
nothing. Answers may hold secrets that are shown once, so they lie sealed.
"""

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, delete, select, update

from ums import clock
from ums.core.common.encryption import SecretBox
from ums.core.tables import idempotent_responses
from ums.db import Database, Statement, to_json
from ums.errors import Conflict, Unprocessable

KEY_LIFE = 24 * clock.HOUR
ABANDONED = 15 * clock.MINUTE  # longer than any request takes: a sender's test may wait for 10

_CLAIM = Statement(
    "INSERT INTO idempotent_responses (caller, key, fingerprint, response, until, created_at)"
    " VALUES (:caller, :key, '', NULL, :until, :now)"
    " ON CONFLICT (caller, key) DO UPDATE SET fingerprint = '', response = NULL,"
    " until = excluded.until, created_at = excluded.created_at"
    " WHERE idempotent_responses.created_at < :horizon"
    " OR (idempotent_responses.response IS NULL AND idempotent_responses.until < :now)"
    " RETURNING key"
)


class StoredResponse(Struct, frozen=True):
    """An answer: its status, its headers and its body."""

    status: int
    headers: list[tuple[str, str]]
    body: str


class FirstRequest(Struct, frozen=True):
    """What was answered to the first request with the key."""

    fingerprint: str
    answer: StoredResponse

    def repeat(self, fingerprint: str) -> StoredResponse:
        """Raises Unprocessable when this request is another one."""
        if fingerprint != self.fingerprint:
            raise Unprocessable("idempotency_reused")
        return self.answer


class RequestKey(Struct, frozen=True):
    """Where the answer of a request is kept."""

    caller: str
    key: str

    @property
    def context(self) -> str:
        return f"answer:{self.caller}:{self.key}"


async def claim(database: Database, seal: SecretBox, place: RequestKey) -> FirstRequest | None:
    """None: answer the request, then `keep` or `release`. Raises Conflict while it is at work."""
    now = clock.now()
    mine = {"caller": place.caller, "key": place.key, "now": now}
    async with database.write() as tx:
        if await tx.value(_CLAIM, {**mine, "until": now + ABANDONED, "horizon": now - KEY_LIFE}):
            return None
        row = await tx.first(select(idempotent_responses).where(_at(place)))
    if row is None or row.response is None:
        raise Conflict("still_running")
    text = seal.open(row.response, place.context)
    return FirstRequest(row.fingerprint, msgspec.json.decode(text, type=StoredResponse))


async def keep(
    database: Database, seal: SecretBox, place: RequestKey, fingerprint: str, answer: StoredResponse
) -> None:
    sealed = seal.close(to_json(answer), place.context)
    values = {"fingerprint": fingerprint, "response": sealed}
    async with database.write() as tx:
        await tx.run(update(idempotent_responses).where(_at(place)).values(values))


async def release(database: Database, place: RequestKey) -> None:
    """The request did nothing: the key is free again."""
    async with database.write() as tx:
        await tx.run(
            delete(idempotent_responses).where(
                _at(place), idempotent_responses.c.response.is_(None)
            )
        )


async def forget(database: Database) -> None:
    """Remove what is over a day old."""
    async with database.write() as tx:
        over = idempotent_responses.c.created_at < clock.now() - KEY_LIFE
        await tx.run(delete(idempotent_responses).where(over))


async def abandon(database: Database) -> None:
    """Free the keys of requests that died with the process before us. On SQLite alone, where
    there is no other process; on PostgreSQL they are free after ABANDONED."""
    if database.dialect == "sqlite":
        async with database.write() as tx:
            await tx.run(
                delete(idempotent_responses).where(idempotent_responses.c.response.is_(None))
            )


def _at(place: RequestKey) -> ColumnElement[bool]:
    return (idempotent_responses.c.caller == place.caller) & (
        idempotent_responses.c.key == place.key
    )
