"""Stores made-up messages of the last weeks, with all their deliveries at an end.

The rows are written as they stand after the fact, each message with its deliveries and attempts in
one transaction: no engine ever sees one that it could send.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import insert

from ums import clock
from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import MessageIds
from ums.core.tables import messages
from ums.core.tables.states import OnUnknown, Priority
from ums.core.users.audience import Audience
from ums.db import Statement, Tx, rows_json, to_json
from ums.sample_data.catalogue import SampleTemplate
from ums.sample_data.outcomes import NO_ADDRESS, SampleOutcome, draw_outcome
from ums.sample_data.people import NEWSLETTER, Person

_PERIOD: Final = 28 * clock.DAY
_LIFE: Final = 3 * clock.DAY
_STEP: Final = 80  # ms between two mails of a message
_BATCH: Final = 10_000  # deliveries of one transaction, at least
_GROUP: Final = (5, 60)  # people of a message to several
_MAILING: Final = (1_000, 3_000)
_SIZES: Final = {"one": 90, "group": 8, "mailing": 2}

_DELIVERIES = Statement(
    "INSERT INTO deliveries (message_id, sender_id, userid, address, state, reason, priority,"
    " due_at, epoch, counted_tries, tries, unknown_count, created_at, updated_at)"
    " SELECT message_id, sender_id, userid, address, state, reason, priority, updated_at,"
    " 1, tries, tries, 0, created_at, updated_at FROM $rows(r: message_id bigint,"
    " sender_id bigint, userid text, address text, state text, reason text, priority smallint,"
    " tries smallint, created_at bigint, updated_at bigint) WHERE true"
    " RETURNING id, message_id, userid"
)
_ATTEMPTS = Statement(
    "INSERT INTO attempts (delivery_id, number, sender_id, started_at, duration_ms, stage,"
    " verdict, reason, code, enhanced, reply) SELECT delivery_id, number, sender_id, started_at,"
    " duration_ms, stage, verdict, reason, code, enhanced, reply FROM $rows(r: delivery_id bigint,"
    " number smallint, sender_id bigint, started_at bigint, duration_ms int, stage text,"
    " verdict text, reason text, code smallint, enhanced text, reply text)"
)


class StoredTemplate(Struct, frozen=True):
    """A template as a channel has it."""

    channel_id: int
    id: int
    version: int
    source: SampleTemplate
    weight: int  # of its messages among all


class SampleDelivery(Struct, frozen=True):
    """One person's mail of a message, and what became of it."""

    person: Person
    outcome: SampleOutcome
    ended_at: int


class SampleMessage(Struct, frozen=True):
    """A message that went out, and to whom."""

    template: StoredTemplate
    audience: Audience
    accepted_at: int
    deliveries: list[SampleDelivery]


def make_messages(
    number: int, templates: Sequence[StoredTemplate], people: Sequence[Person], random: Random
) -> Iterator[SampleMessage]:
    """Yield `number` messages of the last weeks to some of `people`, the oldest first."""
    now = clock.now()
    readers = [person for person in people if NEWSLETTER in person.tags]
    for at in sorted(now - clock.HOUR - random.randrange(_PERIOD) for _ in range(number)):
        [template] = random.choices(templates, [one.weight for one in templates])
        audience, chosen = _choose(people, readers, random)
        yield SampleMessage(template, audience, at, list(_deliver(chosen, at, now, random)))


def _choose(
    people: Sequence[Person], readers: Sequence[Person], random: Random
) -> tuple[Audience, Sequence[Person]]:
    [size] = random.choices([*_SIZES], [*_SIZES.values()])
    if size == "mailing" and readers:
        # Those who had subscribed by then.
        chosen = random.sample(readers, min(random.randint(*_MAILING), len(readers)))
        return Audience(tags=[NEWSLETTER]), chosen
    wanted = 1 if size == "one" else random.randint(*_GROUP)
    chosen = random.sample(people, min(wanted, len(people)))
    return Audience(userids=[person.userid for person in chosen]), chosen


def _deliver(
    people: Sequence[Person], accepted_at: int, now: int, random: Random
) -> Iterator[SampleDelivery]:
    for place, person in enumerate(people):
        outcome = draw_outcome(random) if person.address else NO_ADDRESS
        ended_at = accepted_at + clock.SECOND + place * _STEP + outcome.delay_ms
        yield SampleDelivery(person, outcome, min(ended_at, now))


async def store_messages(system: AppContext, sender_id: int, made: Iterator[SampleMessage]) -> int:
    """Store them; the number of their deliveries."""
    ids, total = MessageIds(), 0
    while batch := list(_take(made)):
        async with system.database.write() as tx:
            total += await _store(tx, sender_id, batch, ids)
    return total


def _take(made: Iterator[SampleMessage]) -> Iterator[SampleMessage]:
    """Yield the messages of one transaction."""
    size = 0
    while size < _BATCH and (message := next(made, None)) is not None:
        size += len(message.deliveries)
        yield message


async def _store(tx: Tx, sender_id: int, batch: Sequence[SampleMessage], ids: MessageIds) -> int:
    rows: list[tuple[object, ...]] = []
    found: dict[tuple[int, str], SampleDelivery] = {}
    for message in batch:
        values = _message_row(message, sender_id, ids.next(message.accepted_at))
        id = int(await tx.value(insert(messages).returning(messages.c.id), values))
        for delivery in message.deliveries:
            rows.append(_delivery_row(id, sender_id, message, delivery))
            found[id, delivery.person.userid] = delivery
    stored = await tx.rows(_DELIVERIES, {"r": rows_json(rows)})
    attempts = [
        row
        for id, message_id, userid in stored
        for row in _attempt_rows(id, sender_id, found[message_id, userid])
    ]
    await tx.run(_ATTEMPTS, {"r": rows_json(attempts)})
    return len(rows)


def _message_row(message: SampleMessage, sender_id: int, msgid: str) -> dict[str, Any]:
    source, described = message.template.source, message.audience.described
    content = Content(subject=source.subject, para=dict(source.values))
    return {
        "msgid": msgid,
        "channel_id": message.template.channel_id,
        "sender_id": sender_id,
        "audience": to_json(message.audience),
        "content": to_json(content),
        "options": "{}",
        "template_id": message.template.id,
        "template_version": message.template.version,
        "priority": Priority.BULK if described else Priority.NORMAL,
        "on_unknown": OnUnknown.HOLD if described else OnUnknown.RESEND,
        "origin": "console" if described else "api",
        "state": "expanded",
        "cursor": 0,
        "audience_size": len(message.deliveries),
        "accepted_at": message.accepted_at,
        "expires_at": message.accepted_at + _LIFE,
    }


def _delivery_row(
    message_id: int, sender_id: int, message: SampleMessage, delivery: SampleDelivery
) -> tuple[object, ...]:
    return (
        message_id,
        sender_id,
        delivery.person.userid,
        delivery.person.address,
        delivery.outcome.state,
        delivery.outcome.reason,
        Priority.BULK if message.audience.described else Priority.NORMAL,
        len(delivery.outcome.attempts),
        message.accepted_at,
        delivery.ended_at,
    )


def _attempt_rows(
    delivery_id: int, sender_id: int, delivery: SampleDelivery
) -> Iterator[tuple[object, ...]]:
    attempts = delivery.outcome.attempts
    apart = delivery.outcome.delay_ms // max(len(attempts) - 1, 1)
    for number, attempt in zip(count(1), attempts, strict=False):
        started_at = delivery.ended_at - (len(attempts) - number) * apart - 400
        head = (delivery_id, number, sender_id, started_at, 400)
        outcome = (attempt.stage, attempt.verdict, attempt.reason)
        yield (*head, *outcome, attempt.code, attempt.enhanced, attempt.reply)
