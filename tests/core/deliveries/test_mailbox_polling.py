"""Mailboxes whose server, or whoever writes to them, wants to do harm (reliability.md, threats 20
and 42): the child in which they are looked at ends, and nothing else."""

import asyncio
import resource
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support import letters
from support.fakes import Certificates
from support.flow import Flow, open_flow
from support.imap import ImapServer, mailbox_at
from ums.core.context.app_context import AppContext
from ums.core.deliveries import feedback, mailbox_polling, mailbox_worker
from ums.core.senders import mailboxes
from ums.core.senders.mailboxes import MailboxInfo
from ums.errors import Unavailable
from ums.mail.imap import LARGEST, TOGETHER


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def looked(flow: Flow, port: int, **changes: str) -> MailboxInfo:
    await mailboxes.set_mailbox(flow.system, "main", mailbox_at(port, host="localhost", **changes))
    return await mailbox_polling.look_now(flow.system, "main")


@asynccontextmanager
async def server(
    floods: str, flood: bytes, pause: float = 0.0
) -> AsyncGenerator[tuple[int, list[str]]]:
    """An IMAP server that is well until it is asked `floods`, and then never stops to answer: its
    port, and what it was asked."""
    reached: list[str] = []
    usual = {
        "CAPABILITY": "* CAPABILITY IMAP4rev1\r\n",
        "LOGIN": "",
        "LIST": '* LIST (\\Sent) "/" "Sent"\r\n',
        "EXAMINE": "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 2] ok\r\n",
        "SEARCH": "* SEARCH 1\r\n",
        "SIZE": "* 1 FETCH (UID 1 RFC822.SIZE 100)\r\n",
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        try:
            while line := (await reader.readline()).decode():
                tag, _, rest = line.partition(" ")
                asked = next((word for word in (*usual, floods) if word in rest), "")
                reached.append(asked)
                while asked == floods:
                    writer.write(flood)
                    await writer.drain()
                    await asyncio.sleep(pause)
                writer.write(f"{usual.get(asked, '')}{tag} OK done\r\n".encode())
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "localhost", 0) as listening:
        yield listening.sockets[0].getsockname()[1], reached


LINE = b"* 1 FETCH (UID 1 FLAGS (" + b"\\Seen " * 1000 + b"))\r\n"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    ("floods", "flood"),
    [
        ("SEARCH", LINE),
        ("SIZE", LINE),
        ("LIST", b'* LIST () "/" "' + b"x" * 60_000 + b'"\r\n'),
        ("SEARCH", b"* SEARCH" + b" 1" * 100_000 + b"\r\n"),
        ("HEADER.FIELDS", b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (FROM)] {4000000000}\r\n"),
        ("EXAMINE", b"x" * 100_000),
    ],
)
async def test_a_server_that_never_stops(flow: Flow, floods: str, flood: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with server(floods, flood) as (port, asked):
        found = await looked(flow, port)
    assert asked[-1] == floods
    assert found.problem in ("mailbox_nonsense", "mailbox_away", "mailbox_refused")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 * 1024  # KiB; the child may have 256 MiB


async def test_a_server_that_drips_is_left(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each octet comes in time, and the answer never."""
    monkeypatch.setattr(mailbox_worker, "LONGEST", 2)
    async with server("LIST", b"*", pause=0.1) as (port, _):
        found = await looked(flow, port)
    assert found.problem == "mailbox_away"
    assert found.problem_detail == "it took longer than 2 seconds"


async def test_a_server_that_leaves_things_out(flow: Flow) -> None:
    async with await asyncio.start_server(_says_nothing, "localhost", 0) as listening:
        found = await looked(flow, listening.sockets[0].getsockname()[1])
    assert found.problem == "mailbox_refused"
    assert "CAPABILITY" in found.problem_detail


async def _says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"* OK ready\r\n")
    while line := await reader.readline():
        writer.write(line.split()[0] + b" OK done\r\n")
    writer.close()


async def test_a_letter_that_is_too_large_is_passed_over(flow: Flow) -> None:
    async with ImapServer() as box:
        await mailboxes.set_mailbox(flow.system, "main", mailbox_at(box.port))
        await mailbox_polling.look_now(flow.system, "main")
        huge = box.inbox.add(letters.report("x"))
        box.inbox.sizes[huge] = LARGEST + 1
        parts = [box.inbox.add(letters.report("x")) for _ in range(3)]
        box.inbox.sizes |= dict.fromkeys(parts, TOGETHER // 2)
        box.commands.clear()
        found = await mailbox_polling.look_now(flow.system, "main")
    assert found.problem == ""
    asked = [one.split()[2] for one in box.commands if "HEADER.FIELDS" in one]
    assert asked == [f"{parts[0]},{parts[1]}", str(parts[2])]


async def test_whom_the_administrator_trusts(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates()
    async with ImapServer(context=certificates.server()) as box:
        assert (await looked(flow, box.port, encryption="ssl")).problem == "mailbox_tls"
        trusted = tmp_path / "authority.pem"
        certificates.authority.cert_pem.write_to_path(str(trusted))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert (await looked(flow, box.port, encryption="ssl")).problem == ""


async def test_one_look_at_a_time(flow: Flow) -> None:
    async with ImapServer() as box:
        await mailboxes.set_mailbox(flow.system, "main", mailbox_at(box.port))
        done = await asyncio.gather(*(mailbox_polling.look_due(flow.system) for _ in range(8)))
    assert (sorted(done), box.logins) == ([False] * 7 + [True], 1)


async def test_operators_who_set_it_at_the_same_time(flow: Flow) -> None:
    async with ImapServer() as box:
        given = mailbox_at(box.port)
        setting = (mailboxes.set_mailbox(flow.system, "main", given) for _ in range(6))
        await asyncio.gather(*setting)
        assert (await mailbox_polling.look_now(flow.system, "main")).problem == ""


async def test_the_database_goes_in_the_middle_of_a_look(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the mailbox said is not stored then; it is asked again, and not minutes later."""
    taken, away = feedback.take, [Unavailable("unavailable")] * 2

    async def take(*args: object) -> object:
        if away:
            raise away.pop()
        return await taken(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(feedback, "take", take)
    monkeypatch.setattr(mailbox_polling, "AGAIN", 0.01)
    async with ImapServer() as box:
        await mailboxes.set_mailbox(flow.system, "main", mailbox_at(box.port))
        assert await mailbox_polling.look_due(flow.system)
    found = await mailboxes.show(flow.system, "main")
    assert found is not None
    assert (found.problem, box.logins) == ("", 3)
    assert found.polled_at is not None
