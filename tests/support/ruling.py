"""Rules of a channel, put where its doors and the engine read them."""

from typing import Any

import msgspec
from sqlalchemy import update

from ums.core.channels.policy import check_rules
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.context.directory import touch
from ums.core.tables import channels


async def rule(system: AppContext, key: str, **rules: Any) -> None:
    """Give the channel these rules, and the defaults for all others."""
    wanted = msgspec.convert(msgspec.to_builtins(rules), ChannelPolicy)
    check_rules(wanted)
    text = msgspec.json.encode(wanted).decode()
    async with system.database.write() as tx:
        done = await tx.run(update(channels).where(channels.c.key == key).values(rules=text))
        assert done.count == 1
        await touch(tx)
    system.directory.forget()
