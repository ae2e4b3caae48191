"""Stores made-up users as an import stores real ones."""

from collections.abc import Iterable, Sequence
from typing import Final

from ums.core.context.app_context import AppContext
from ums.core.users import bulk_upsert
from ums.core.users.entry_parser import Change, Entry
from ums.core.users.fields import ALL
from ums.sample_data.people import Person

_BATCH: Final = 5_000  # users of one transaction


async def store_people(system: AppContext, people: Sequence[Person]) -> None:
    """Store them; who is there already is brought up to date."""
    for start in range(0, len(people), _BATCH):
        entries = [_entry(person) for person in people[start : start + _BATCH]]
        async with system.database.write() as tx:
            await bulk_upsert.apply(tx, entries, by="sample data")


def _entry(person: Person) -> Entry:
    address = (person.address,) if person.address else ()
    changes = [_set("email", address), _set("tag", person.tags)]
    return Entry(person.userid, tuple(changes), dict(person.attributes))


def _set(kind: str, values: Iterable[str]) -> Change:
    return Change("set", (kind, ALL), tuple(values))
