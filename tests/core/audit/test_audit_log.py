"""The audit log: who, from where, what was before and after, and never a secret."""

import asyncio

from sqlalchemy import select

from ums.core.audit import audit_log
from ums.core.audit.audit_log import AuditEntry
from ums.core.audit.masking import MASK, masked
from ums.core.context.app_context import AppContext
from ums.core.tables import audit as rows


async def _noted(system: AppContext, subject: str) -> AuditEntry:
    async with system.database.read() as tx:
        (entry,) = (await audit_log.list_audit(tx, subject=subject)).items
    return entry


async def test_an_entry_says_who_from_where_and_what_changed(system: AppContext) -> None:
    before = {"name": "Old", "host": "smtp.example.cn", "port": 25}
    with audit_log.acting("operator:ann", "192.0.2.7"):
        async with system.database.write() as tx:
            after = {**before, "name": "New", "port": 587}
            await audit_log.note(tx, "sender.change", "S1", before=before, after=after)
    entry = await _noted(system, "S1")
    assert (entry.actor, entry.address, entry.times) == ("operator:ann", "192.0.2.7", 1)
    assert (entry.before, entry.after) == (
        {"name": "Old", "port": 25},
        {"name": "New", "port": 587},
    )


async def test_what_a_door_learns_later_counts_and_ends_with_the_request(
    system: AppContext,
) -> None:
    with audit_log.acting(audit_log.ANYBODY, "2001:db8::1") as request:
        audit_log.acts("token:3:CI")
        async with system.database.write() as tx:
            await asyncio.create_task(audit_log.note(tx, "word.add", "all"))
        assert request.notes == 1
    async with system.database.write() as tx:
        await audit_log.note(tx, "word.add", "channel")
    by_token, by_command = await _noted(system, "all"), await _noted(system, "channel")
    assert (by_token.actor, by_token.address) == ("token:3:CI", "2001:db8::1")
    assert (by_command.actor, by_command.address) == (audit_log.LOCAL, "")


async def test_no_secret_reaches_the_log_by_whatever_field(system: AppContext) -> None:
    planted = "hunter2-Very-Secret"
    sealed = system.seal.close(planted, "sender:S2")
    token = "ums_" + "aB3-_" * 9
    fields = {
        "password": planted,
        "mastersecret": [planted],
        "nested": {"smtp_password": planted, "deep": [{"token": {"value": planted}}]},
        "url": f"https://user:{planted}@example.cn/told",
        "note": f"seen {sealed} and {token}",
        "key": "whsec_" + "A" * 32,
    }
    async with system.database.write() as tx:
        await audit_log.note(tx, "sender.change", "S2", f"was {token}", before={}, after=fields)
        stored = repr(await tx.rows(select(rows)))
    for secret in (planted, sealed, token, "whsec_A"):
        assert secret not in stored
    after = (await _noted(system, "S2")).after
    assert after is not None
    assert after["password"] == after["mastersecret"] == MASK


async def test_a_changed_secret_is_noted_as_changed(system: AppContext) -> None:
    async with system.database.write() as tx:
        await audit_log.note(tx, "a", "S3", before={"secret": "x"}, after={"secret": "y"})
    entry = await _noted(system, "S3")
    assert (entry.before, entry.after) == ({"secret": MASK}, {"secret": MASK})


def test_a_long_value_is_cut() -> None:
    assert len(masked("x" * 10_000)) < 600
    assert masked(list(range(100)))[-1] == "... 80 more"
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"inside": deep}
    assert "..." in repr(masked(deep))


async def test_texts_no_database_takes_are_noted_all_the_same(system: AppContext) -> None:
    async with system.database.write() as tx:
        await audit_log.note(tx, "a", "S4\x00", "half \ud800", after={"a\x00": "\ud800\x00"})
    assert (await _noted(system, "S4")).detail == "half ?"
