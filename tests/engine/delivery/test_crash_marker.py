"""The mark of the mail that is being made, and what follows from one that was left behind."""

import fcntl
import struct
from pathlib import Path

import pytest

from support.fakes import SmtpServer
from support.flow import open_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import quarantine
from ums.core.messages import resend
from ums.core.reporting import reports
from ums.core.tables import worker_crashes
from ums.engine.delivery.crash_marker import CrashMarker, left_behind
from ums.engine.worker import running


def leave(folder: Path, id: int, name: str = "dead") -> None:
    (folder / f"making.{name}").write_bytes(struct.pack("<q", id))


def test_a_living_mark_is_nobodys_finding(tmp_path: Path) -> None:
    mark = CrashMarker(tmp_path, "me")
    with mark.making(7):
        assert left_behind(tmp_path) == []
    leave(tmp_path, 8)
    leave(tmp_path, 0, "idle")
    (tmp_path / "making.empty").write_bytes(b"")
    assert left_behind(tmp_path) == [8]
    assert left_behind(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["making.me"]
    mark.close()
    mark.close()  # a stop may be asked for twice
    with mark.making(9):  # a stop did not wait for it
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_mark_that_is_not_locked_yet_may_be_taken_for_a_dead_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        assert left_behind(tmp_path) == []  # another process, just then
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    mark = CrashMarker(tmp_path, "me")
    with mark.making(7):
        assert (tmp_path / "making.me").read_bytes() == struct.pack("<q", 7)
    mark.close()


def test_an_error_ends_the_mark(tmp_path: Path) -> None:
    mark = CrashMarker(tmp_path, "me")
    with pytest.raises(ValueError, match="no"), mark.making(7):
        raise ValueError("no")
    assert (tmp_path / "making.me").read_bytes() == bytes(8)
    mark.close()


async def test_the_third_death_ends_it(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        poisoned, good = await flow.send("a@x.cn"), await flow.send("b@x.cn")
        server.script["RCPT"] = lambda call: b"451 later\r\n" if "a@" in call.line else None
        async with running(system):
            await flow.until_state(poisoned, "deferred")
            await flow.until_settled(good)
        id = (await flow.delivery(poisoned)).id
        for number in range(1, 4):
            leave(system.settings.data_dir, id)
            async with running(system):
                row = await flow.delivery(poisoned)
                assert row.state == ("failed" if number == 3 else "deferred"), number
        assert row.reason == "quarantined"
        async with system.database.read() as tx:
            assert (await reports.message(tx, poisoned)).counts == {"failed": 1}
        del server.script["RCPT"]
        await resend.resend(system, None, poisoned)  # as somebody mended it
        async with running(system):
            assert await flow.until_settled(poisoned) == {"sent": 1}


async def test_deaths_of_long_ago_are_forgotten(system: AppContext) -> None:
    async with system.database.write() as tx:
        await quarantine.note(tx, [1, 2, 2])
        await tx.run(worker_crashes.update().where(worker_crashes.c.delivery_id == 1).values(at=0))
        await quarantine.forget(tx)
        rows = await tx.rows(worker_crashes.select())
        assert [(row.delivery_id, row.count) for row in rows] == [(2, 1)]
        assert rows[0].at > clock.now() - clock.MINUTE
