"""What there is to send, put into a database before any engine starts."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from support.flow import accept_body
from ums import clock
from ums.config import Settings
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.context.directory import Channel
from ums.core.maintenance.startup import open_system
from ums.core.messages.intake import Intake
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.db import Statement, open_database, rows_json
from ums.mail.send_limits import SendLimit
from ums.migrations import runner

PER_MESSAGE = 100
USERS_AT_ONCE = 100_000  # a statement may not take long
_USERS = Statement(
    "INSERT INTO users (userid, attributes, created_at, updated_at)"
    " SELECT r.userid, '{}', :at, :at FROM $rows(r: userid text)"
)
_ADDRESSES = Statement(
    "INSERT INTO addresses (user_id, kind, bind_id, value)"
    " SELECT u.id, 'email', 'all', u.userid || '@users.example'"
    " FROM users u JOIN $rows(r: userid text) ON r.userid = u.userid"
)


_CONTENT = {"subject": "Fault test", "text": "<p>One copy, please.</p>"}
_BROADCAST = json.dumps({"msg_email": [_CONTENT]}).encode()


class Account(NamedTuple):
    """The credentials of a channel that was made for a test."""

    key: str
    secret: str


async def fill(
    settings: Settings, port: int, *, broadcast: int, single: int, caps: Sequence[SendLimit] = ()
) -> None:
    """A broadcast to so many users, and so many transactional mails (a multiple of 100, or fewer)
    to addresses, each kind by a channel and a sender of its own, with these caps, to the server at
    `port`."""
    async with open_system(settings) as system:
        intake = Intake(system)
        if broadcast:
            await _users(system, broadcast)
            bulk = await channel(system, "bulk", port, caps)
            found = await _found(system, bulk.key)
            await accept_body(intake, found, _BROADCAST, broadcast=True)
        if single:
            own = await channel(system, "single", port, caps)
            found = await _found(system, own.key)
            for first in range(0, single, PER_MESSAGE):
                some = range(first, min(first + PER_MESSAGE, single))
                body = request([f"a{n}@direct.example" for n in some])
                await accept_body(intake, found, json.dumps(body).encode(), broadcast=False)


async def account(settings: Settings, port: int, name: str = "single") -> Account:
    """A channel with a sender to the server at `port`, where no system is open."""
    async with open_system(settings) as system:
        return await channel(system, name, port)


async def migrate(settings: Settings) -> None:
    """Make the tables of a database that has none."""
    database = open_database(settings.database_url, settings.data_dir)
    await runner.migrate(database)
    await database.close()


async def channel(
    system: AppContext, name: str, port: int, caps: Sequence[SendLimit] = ()
) -> Account:
    """A channel with a sender to the server at `port`."""
    made = await channels.create(system, name)
    await channels.set_rules(system, made.channelkey, ChannelPolicy(requests_per_second=0))
    sender = NewSender(
        code=name,
        name=name,
        host="127.0.0.1",
        port=port,
        encryption="none",
        from_address=f"{name}@example.org",
        channels=[made.channelkey],
        allow_port=True,
        caps=list(caps),
        urgent_reserve_percent=0,
    )
    await senders.create(system, sender)
    return Account(made.channelkey, str(made.mastersecret))


async def _found(system: AppContext, key: str) -> Channel:
    system.directory.forget()
    return (await system.directory.now()).channels[key]


async def _users(system: AppContext, count: int) -> None:
    for first in range(0, count, USERS_AT_ONCE):
        some = range(first, min(first + USERS_AT_ONCE, count))
        names = rows_json((f"user{n}",) for n in some)
        async with system.database.write() as tx:
            await tx.run(_USERS, {"r": names, "at": clock.now()})
            await tx.run(_ADDRESSES, {"r": names})


def request(addresses: Sequence[str]) -> dict[str, object]:
    """What a caller posts to reach these."""
    return {"aud_email": [{"data": addresses}], "msg_email": [_CONTENT]}
