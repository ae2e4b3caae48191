"""`ums dev seed`: people, channels, templates and messages, in one go."""

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct
from sqlalchemy import select

from ums.core.audit import audit_log
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.core.tables import messages
from ums.core.tables import templates as template_rows
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.errors import Conflict
from ums.sample_data.catalogue import CHANNELS, SampleChannel, SampleTemplate
from ums.sample_data.messages import StoredTemplate, make_messages, store_messages
from ums.sample_data.people import make_people
from ums.sample_data.users import store_people

# Of the sandbox: what somebody sends by it later stays on this machine as well.
SENDER: Final = NewSender(
    code="sample",
    name="Sample 示例账号",
    host="sandbox.localhost",
    port=25,
    encryption="none",
    from_address="notice@example.com",
    from_name="Example Store 示例商城",
)
CHANCE: Final = 20_240  # the seed of chance: each run makes the same people


class Seeded(Struct, frozen=True):
    """What was made."""

    channels: list[str]  # keys
    users: int
    messages: int
    deliveries: int


async def has_messages(system: AppContext) -> bool:
    """Whether anybody ever sent a message with this installation."""
    async with system.database.read() as tx:
        return await tx.first(select(messages.c.id).limit(1)) is not None


async def seed(
    system: AppContext, *, users: int, messages: int, channel: Channel | None = None
) -> Seeded:
    """Make `users` users, and `messages` messages of the sample channels or of this one."""
    random = Random(CHANCE)  # noqa: S311  (nothing of it is secret)
    people = list(make_people(users, random))
    await store_people(system, people)
    chosen = [(channel, CHANNELS)] if channel else await _sample_channels(system)
    sender_id = await _sender(system, [] if channel else [one.key for one, _ in chosen])
    templates = [
        await _template(system, own, one, sample.share)
        for own, samples in chosen
        for sample in samples
        for one in sample.templates
    ]
    made = make_messages(messages if people else 0, templates, people, random)
    deliveries = await store_messages(system, sender_id, made)
    done = Seeded([one.key for one, _ in chosen], users, messages if people else 0, deliveries)
    await _note(system, done)
    return done


async def _sample_channels(
    system: AppContext,
) -> list[tuple[Channel, tuple[SampleChannel, ...]]]:
    """Each with what is to be in it; they are made unless they are there."""
    for sample in CHANNELS:
        if sample.key not in (await system.directory.now()).channels:
            await channels.create(system, sample.name, sample.key)
    known = (await system.directory.now()).channels
    return [(known[sample.key], (sample,)) for sample in CHANNELS]


async def _sender(system: AppContext, keys: Sequence[str]) -> int:
    """The id of the sample sender, which the channels `keys` may use."""
    if SENDER.code not in (await system.directory.now()).sender_codes:
        await senders.create(system, SENDER, type="sandbox")
    for key in keys:
        await senders.authorise(system, SENDER.code, key)
    return (await system.directory.now()).sender_codes[SENDER.code].id


async def _template(
    system: AppContext, channel: Channel, sample: SampleTemplate, weight: int
) -> StoredTemplate:
    """The channel's template of this name, which is made unless it is there."""
    sources = Sources(subject=sample.subject, html=sample.html)
    defaults = {"name": "", **sample.values}
    try:
        made = await store.create(system, channel, sample.name, sources, defaults)
    except Conflict:
        own = (template_rows.c.channel_id == channel.id) & (template_rows.c.name == sample.name)
        async with system.database.read() as tx:
            row = await tx.first(select(template_rows).where(own))
        return StoredTemplate(channel.id, row.id, row.version, sample, weight)
    return StoredTemplate(channel.id, made.id, made.version, sample, weight)


async def _note(system: AppContext, done: Seeded) -> None:
    after = {"users": done.users, "messages": done.messages, "deliveries": done.deliveries}
    async with system.database.write() as tx:
        await audit_log.note(tx, "sample.create", ", ".join(done.channels), after=after)
