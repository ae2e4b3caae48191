"""Our SMTP client alone: on this machine, and behind a round trip."""

import asyncio
from typing import Any

from benchmarks.alone import Watch
from benchmarks.figures import Goal, Result, Section, number, times
from benchmarks.processes import measure, sink
from benchmarks.references import SESSIONS, text_of
from benchmarks.systems import Databases
from ums.mail.mime.builder import MimeContent, MimeTemplate
from ums.mail.outcomes import Encryption, Envelope
from ums.mail.smtp.session import Server, SmtpSession, connect

ROUND_TRIPS = (0.02, 0.05)
FACTOR = 3.5


def run(_: Databases, quick: bool) -> Result:
    section = Section(
        "Behind a round trip",
        "Mails of 1 kB over one session to a server that answers everything a round trip later.",
        ["round trip", "client", "messages/s per session", "ours beside it"],
    )
    result = Result([section])
    for round_trip in ROUND_TRIPS:
        given = {"size": 1_000, "count": 40 if quick else 100}
        with sink(round_trip) as port:
            ours = measure("wire:ours", port=port, sessions=1, **given)["rate"]
            plain = measure("wire:stepwise", port=port, **given)["rate"]
            peer = measure("references:stdlib", port=port, **given)["rate"]
        shown = f"{round_trip * 1000:.0f} ms"
        section.rows += [
            [
                shown,
                "**ums**: the dot and the next mail's commands in one write",
                number(ours),
                "1.00",
            ],
            [shown, "ums, to a server without PIPELINING", number(plain), times(ours / plain)],
            [shown, "smtplib, command by command", number(peer), times(ours / peer)],
        ]
        result.goals.append(
            Goal(
                f"Behind {shown}, per session",
                f"{FACTOR:g} times a command-by-command client",
                f"{times(ours / peer)} times",
                ours / peer >= FACTOR,
            )
        )
    return result


async def ours(port: int, size: int, count: int, sessions: int = SESSIONS) -> dict[str, Any]:
    """Mails from a skeleton over `sessions` sessions."""
    return await _send(port, size, count, sessions, pipelining=True)


async def stepwise(port: int, size: int, count: int) -> dict[str, Any]:
    return await _send(port, size, count, 1, pipelining=False)


async def _send(
    port: int, size: int, count: int, sessions: int, *, pipelining: bool
) -> dict[str, Any]:
    server = Server("127.0.0.1", port, Encryption.NONE, pipelining=pipelining)
    skeleton = MimeTemplate.build(
        MimeContent("Benchmark", text_of(size)),
        from_address="bench@example.org",
        auto_submitted=False,
    )
    opened = [await connect(server) for _ in range(sessions)]
    numbers = iter(range(count))
    watch = Watch()
    await asyncio.gather(*(_carry(session, skeleton, numbers) for session in opened))
    seen = watch.read(count)
    for session in opened:
        session.abort()
    return seen


def _next(skeleton: MimeTemplate, numbers: Any) -> tuple[Envelope, bytes] | None:
    number = next(numbers, None)
    if number is None:
        return None
    to = f"u{number}@users.example"
    body = skeleton.render(to=to, message_id=f"{number}@example.org", date=1_700_000_000_000)
    return Envelope("bench@example.org", to, len(body)), body


async def _carry(session: SmtpSession, skeleton: MimeTemplate, numbers: Any) -> None:
    mail = _next(skeleton, numbers)
    while mail is not None:
        envelope, body = mail
        await session.start(envelope)
        await session.body(body)
        mail = _next(skeleton, numbers)
        reply = await session.finish(mail[0] if mail else None)
        if not reply.ok:
            raise RuntimeError(reply.text)
