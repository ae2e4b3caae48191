"""What is open ends with the session that opened it, and an operator sees its channels alone."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx
import pytest

from console.conftest import PASSWORD, Visit, browsing, log_in
from support.doors import Door
from ums.console import stream_guard
from ums.core.deliveries import sandbox_mailbox
from ums.core.identity import operators, sessions
from ums.core.senders import senders
from ums.core.senders.senders import NewSender

BOTH_DATABASES = True

Change = Callable[[Door, str], Awaitable[object]]


async def _log_out(door: Door, name: str) -> None:
    async with door.system.database.write() as tx:
        await sessions.forget(tx, await _id(door, name))


async def _id(door: Door, name: str) -> int:
    from sqlalchemy import select

    from ums.core.tables import operators as rows

    async with door.system.database.read() as tx:
        return await tx.value(select(rows.c.id).where(rows.c.name == name))


async def _disable(door: Door, name: str) -> None:
    await operators.change(door.system, name, disabled=True)


async def _demote(door: Door, name: str) -> None:
    await operators.change(door.system, name, role="viewer")


async def _bind(door: Door, name: str) -> None:
    channel = await door.channel(sender=False)
    id = (await door.system.directory.now()).channels[channel.key].id
    await operators.change(door.system, name, channels=[id])


@pytest.mark.parametrize("change", [_log_out, _disable, _demote, _bind])
async def test_streams_end_at_once(
    door: Door, visit: Visit, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live_updates.EVERY", 0.02)
    monkeypatch.setattr(stream_guard, "EVERY", 0.05)
    await operators.create(door.system, "boss", PASSWORD)
    visitor = await visit("operator")
    async with visitor.stream("GET", "/sandbox/live") as stream, asyncio.timeout(60):
        assert stream.headers["content-type"].startswith("text/event-stream")
        parts = stream.aiter_text()
        assert "event: part" in await anext(parts)
        await change(door, "operator0")
        assert "event: part" not in "".join([text async for text in parts])


async def test_news_do_not_reach_whoever_is_out(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is looked at before each event, however long ago the last look was."""
    monkeypatch.setattr("ums.console.live_updates.EVERY", 0.02)
    monkeypatch.setattr(stream_guard, "EVERY", 3600.0)
    visitor = await visit("operator")
    async with visitor.stream("GET", "/sandbox/live") as stream, asyncio.timeout(60):
        parts = stream.aiter_text()
        assert "event: part" in await anext(parts)
        await _log_out(door, "operator0")
        async with door.system.database.write() as tx:
            await sandbox_mailbox.keep(
                tx, "a@x.example", "b@x.example", b"Subject: News\r\n\r\n", limit=9
            )
        assert "News" not in "".join([text async for text in parts])


async def test_a_piece_is_not_waited_for_when_the_session_is_over(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_guard, "EVERY", 0.01)
    good, ended = True, asyncio.Event()

    class Watch:
        def __init__(self, _: object) -> None: ...

        async def is_good(self) -> bool:
            return good

    monkeypatch.setattr(stream_guard, "Watch", Watch)

    async def pieces() -> AsyncGenerator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    seen: list[str] = []
    request: httpx.Request = object()  # type: ignore[assignment]
    async with asyncio.timeout(60):
        async for piece in stream_guard.watched(request, pieces()):  # type: ignore[arg-type]
            seen.append(piece)
            good = False
    assert seen == ["first"]
    assert ended.is_set()


async def test_the_sandbox_shows_an_operator_its_own_channels(door: Door) -> None:
    mine, other = [await _with_sandbox(door) for _ in range(2)]
    body = {"recipients": [{"address": "a@example.org"}], "text": "t"}
    for channel, subject in ((mine, "For mine"), (other, "For other")):
        sent = await door.post("/api/messages", {**body, "subject": subject}, channel)
        await door.done(sent.body["msgid"], channel)
    async with door.system.database.write() as tx:  # of no channel: such as a test of a sender
        await sandbox_mailbox.keep(
            tx, "a@x.example", "b@x.example", b"Subject: For none\r\n\r\n", limit=9
        )
        caught = {one.subject: one.id for one in await sandbox_mailbox.recent(tx, None)}
    id = (await door.system.directory.now()).channels[mine.key].id
    await operators.create(door.system, "li", PASSWORD, "operator")
    await operators.change(door.system, "li", channels=[id])
    await operators.create(door.system, "boss", PASSWORD)
    async with browsing(door) as li, browsing(door) as boss:
        await log_in(li, "li")
        await log_in(boss, "boss")
        for client, seen in ((li, {"For mine"}), (boss, set(caught))):
            listed = (await client.get("/sandbox")).text
            assert {subject for subject in caught if subject in listed} == seen
            for subject, number in caught.items():
                for path in ("", "/source"):
                    answer = await client.get(f"/sandbox/{number}{path}")
                    assert answer.status_code == (200 if subject in seen else 404), subject
        for path in ("/html", "/files/0"):
            assert (await li.get(f"/sandbox/{caught['For other']}{path}")).status_code == 404


async def _with_sandbox(door: Door):
    channel = await door.channel(sender=False)
    code = f"box{channel.key[:8]}"
    given = NewSender(
        code=code,
        name=code,
        host="sandbox.localhost",
        port=25,
        encryption="none",
        from_address="ums@sandbox.localhost",
        channels=[channel.key],
    )
    await senders.create(door.system, given, type="sandbox")
    return channel


async def test_whoever_has_to_change_the_password_is_led_there_from_the_sandbox(door: Door) -> None:
    first = await operators.create_first(door.system)
    assert first is not None
    async with browsing(door) as client:
        await log_in(client, "admin", first)
        for path in ("/sandbox", "/sandbox/1", "/sandbox/live", "/sandbox/1/source"):
            answer = await client.get(path)
            assert answer.headers["location"] == "/account/password", path
