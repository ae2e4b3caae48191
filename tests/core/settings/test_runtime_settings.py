"""Settings that are changed while UMS runs."""

from typing import Any

import pytest
from sqlalchemy import insert

from support.flow import with_settings
from ums.config import Settings
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.context.directory import touch
from ums.core.maintenance.startup import open_system
from ums.core.senders.senders import free_ports
from ums.core.settings import runtime_settings
from ums.core.tables import meta
from ums.errors import Invalid


async def test_a_change_counts_at_once_and_is_written_down(system: AppContext) -> None:
    shown = {one.name: one for one in runtime_settings.show(system)}
    assert (shown["message_retention_days"].value, shown["message_retention_days"].fixed) == (
        0,
        False,
    )
    await runtime_settings.change(
        system, {"message_retention_days": "90", "sender_ports": "588, 2526", "smtp_sessions": 7}
    )
    assert (system.settings.message_retention_days, system.settings.smtp_sessions) == (90, 7)
    assert free_ports(system) == {25, 80, 443, 465, 587, 588, 2525, 2526}
    async with system.database.read() as tx:
        (note,) = (await audit_log.list_audit(tx, action="settings.change")).items
    assert note.detail == "message_retention_days 90.0, sender_ports 588, 2526, smtp_sessions 7"
    await runtime_settings.change(system, {"message_retention_days": None, "sender_ports": ""})
    assert (system.settings.message_retention_days, system.settings.sender_ports) == (0, "")
    assert system.settings.smtp_sessions == 7


async def test_it_is_there_after_a_restart(system: AppContext, settings: Settings) -> None:
    await runtime_settings.change(system, {"smtp_sessions": 9})
    if settings.is_sqlite:
        return  # one process at a time: test_serving starts it again
    async with open_system(settings) as another:
        assert another.settings.smtp_sessions == 9


async def test_the_environment_wins(system: AppContext) -> None:
    await runtime_settings.change(system, {"smtp_sessions": 9})
    with_settings(system, smtp_sessions=3)
    system.directory.forget()
    await system.directory.now()
    assert system.settings.smtp_sessions == 3
    assert {one.name for one in runtime_settings.show(system) if one.fixed} >= {"smtp_sessions"}
    with pytest.raises(Invalid) as caught:
        await runtime_settings.change(system, {"smtp_sessions": 4, "audit_retention_days": 3})
    assert (caught.value.reason, system.settings.audit_retention_days) == ("setting_fixed", 0)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("smtp_sessions", 0, "out_of_bounds"),
        ("smtp_sessions", 101, "out_of_bounds"),
        ("smtp_sessions", "many", "out_of_bounds"),
        ("smtp_sessions", True, "bad_value"),
        ("smtp_sessions", [1], "bad_value"),
        ("smtp_sessions", 1.5, "out_of_bounds"),
        ("message_retention_days", -1, "out_of_bounds"),
        ("audit_retention_days", 0.00001, "below_floor"),
        ("audit_retention_days", 29.9, "below_floor"),
        ("message_retention_days", "inf", "out_of_bounds"),
        ("message_retention_days", "nan", "out_of_bounds"),
        ("import_limit_bytes", 5, "out_of_bounds"),
        ("sender_ports", "587;25", "bad_value"),
        ("sender_ports", "70000", "bad_value"),
        ("sender_ports", 0, "bad_value"),
        ("secret_key", "x", "unknown_field"),
        ("database_url", "x", "unknown_field"),
    ],
)
async def test_what_cannot_be_is_refused(
    system: AppContext, name: str, value: Any, reason: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await runtime_settings.change(system, {"message_retention_days": 5, name: value})
    assert (caught.value.reason, caught.value.values["field"]) == (reason, name)
    assert (system.settings.message_retention_days, system.settings.audit_retention_days) == (0, 0)


async def test_what_this_version_does_not_know_is_passed_over(system: AppContext) -> None:
    rows = [
        ("setting:smtp_sessions", "none"),
        ("setting:of_tomorrow", "1"),
        ("setting:audit_retention_days", "2"),
    ]
    async with system.database.write() as tx:
        await tx.run(insert(meta), [{"name": name, "value": value} for name, value in rows])
        await touch(tx)
    system.directory.forget()
    await system.directory.now()
    assert (system.settings.smtp_sessions, system.settings.audit_retention_days) == (
        Settings().smtp_sessions,
        2,
    )
