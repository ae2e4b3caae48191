"""Senders: what an account may be, who may use it, and where its password may go."""

import msgspec
import pytest
from sqlalchemy import select, update

from support.fakes import SmtpServer
from support.flow import account, open_flow
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import touch
from ums.core.senders import connection_test, cooldown, senders
from ums.core.tables import senders as table
from ums.errors import Invalid


async def refused(awaitable: object) -> str:
    with pytest.raises(Invalid) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.reason


@pytest.fixture(autouse=True)
async def channel(system: AppContext) -> None:
    await channels.create(system, "One", "1234")


async def test_a_sender_is_shown_without_its_password(system: AppContext) -> None:
    made = await senders.create(system, account(465, encryption="ssl", password="s3cret pass"))
    assert (made.code, made.port, made.encryption, made.channels) == ("main", 465, "ssl", ["1234"])
    assert "s3cret" not in repr(made)
    async with system.database.read() as tx:
        row = await tx.first(select(table))
    assert "s3cret" not in row.secret + row.settings
    sender = (await system.directory.now()).sender_codes["main"]
    assert senders.secret_of(system, sender) == "s3cret pass"


async def test_free_ports_need_no_approval(system: AppContext) -> None:
    for port in (25, 80, 443, 465, 587, 2525):
        given = account(port, allow_port=False, code=f"c{port}", name=f"Port {port}")
        assert (await senders.create(system, given)).port == port


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"port": 2600, "allow_port": False}, "port_approval"),
    ({"port": 0}, "port_range"),
    ({"port": 65536}, "port_range"),
    ({"encryption": "tls"}, "encryption"),
    ({"code": "all"}, "code_shape"),
    ({"code": "ALL"}, "code_shape"),
    ({"code": "a-b"}, "code_shape"),
    ({"code": ""}, "code_shape"),
    ({"code": "x" * 31}, "code_shape"),
    ({"code": "1234"}, "code_taken"),  # a ChannelKey
    ({"name": "x" * 31}, "misfit"),
    ({"host": "smtp example"}, "host_shape"),
    ({"host": ""}, "missing"),
    ({"host": "a\r\nb"}, "host_shape"),
    ({"account": "a\r\nQUIT"}, "control_characters"),
    ({"password": "a\x00b"}, "control_characters"),
    ({"from_address": "nobody"}, "bad_address"),
    ({"from_address": "a@b.cn\r\nBcc: x@y.cn"}, "bad_address"),
    ({"from_name": "a\nb"}, "bad_address"),
    ({"channels": ["none"]}, "channel_unknown"),
]


async def test_what_cannot_be_used_is_refused_whole(system: AppContext) -> None:
    for changes, reason in REFUSED:
        assert await refused(senders.create(system, account(25, **changes))) == reason, changes
    assert await senders.list_senders(system) == []


async def test_codes_and_names_are_taken_once(system: AppContext) -> None:
    await senders.create(system, account(25))
    assert await refused(senders.create(system, account(25, name="Other", code="MAIN"))) == (
        "code_taken"
    )
    assert await refused(senders.create(system, account(25, code="other"))) == "name_taken"


async def test_a_password_goes_nowhere_else_without_being_typed_again(system: AppContext) -> None:
    given = {"host": "smtp.example", "encryption": "ssl", "account": "me"}
    await senders.create(system, account(465, password="s3cret", **given))
    for changes in (
        {"host": "evil.example"},
        {"port": 80},
        {"encryption": "none"},
        {"account": "other"},
    ):
        moved = {**given, "port": 465, **changes}
        assert await refused(senders.change(system, account(25, **moved))) == "password_again"
    sender = (await system.directory.now()).sender_codes["main"]
    assert senders.secret_of(system, sender) == "s3cret"
    await senders.change(system, account(80, password="again", **given))
    sender = (await system.directory.now()).sender_codes["main"]
    assert senders.secret_of(system, sender) == "again"


async def test_a_password_moved_in_the_database_cannot_be_opened(system: AppContext) -> None:
    """Who can write the database must not have the password sent to a server of their own."""
    given = {"host": "smtp.example", "encryption": "ssl", "account": "me"}
    await senders.create(system, account(465, password="s3cret", **given))
    sender = (await system.directory.now()).sender_codes["main"]
    moved = sender.settings.replace("smtp.example", "evil.example")
    elsewhere = msgspec.structs.replace(sender, settings=moved)
    with pytest.raises(Invalid):
        senders.secret_of(system, elsewhere)


async def test_other_changes_keep_the_password_and_end_a_rest(system: AppContext) -> None:
    await senders.create(system, account(25, password="s3cret"))
    async with system.database.write() as tx:
        rest = {
            "cooldown_until": cooldown.UNTIL_EDITED,
            "cooldown_reason": "credentials",
            "failures": 2,
        }
        await tx.run(update(table).values(rest))
    shown = await senders.change(system, account(25, password=None, from_name="新名字", name="New"))
    assert (shown.from_name, shown.name, shown.cooldown_until, shown.cooldown_reason) == (
        ("新名字", "New", None, None)
    )
    sender = (await system.directory.now()).sender_codes["main"]
    assert senders.secret_of(system, sender) == "s3cret"
    assert await refused(senders.change(system, account(25, code="none"))) == "sender_unknown"


async def test_the_first_sender_is_the_default_until_another_is_named(system: AppContext) -> None:
    async def default() -> str | None:
        return (await channels.list_channels(system))[0].default_sender

    await senders.create(system, account(25))
    await senders.create(system, account(25, code="second", name="Second"))
    assert await default() == "main"
    await senders.authorise(system, "second", "1234")
    assert await default() == "main"
    await senders.authorise(system, "second", "1234", default=True)
    assert await default() == "second"
    assert await refused(senders.authorise(system, "none", "1234")) == "sender_unknown"
    assert await refused(senders.authorise(system, "main", "none")) == "channel_unknown"


async def test_the_sender_of_a_message_is_the_named_the_default_or_the_open_one(
    system: AppContext,
) -> None:
    for code in ("main", "second", "third"):
        given = account(25, code=code, name=code, channels=[] if code == "third" else ["1234"])
        await senders.create(system, given)

    async def chosen(instance: str = "") -> str | None:
        system.directory.forget()
        now = await system.directory.now()
        sender = now.sender_for(now.channels["1234"], instance)
        return sender.code if sender else None

    async def close(code: str) -> None:
        async with system.database.write() as tx:
            await tx.run(update(table).where(table.c.code == code).values(open=False))
            await touch(tx)

    assert await chosen() == "main"
    assert await chosen("second") == "second"
    assert await chosen("third") == "main"  # not authorised
    await close("main")
    assert await chosen() == "second"
    assert await chosen("main") == "second"
    await close("second")
    assert await chosen() is None


async def test_a_test_logs_in_and_can_send(system: AppContext) -> None:
    async with SmtpServer(users={"me": "right"}) as server:
        await senders.create(system, account(server, account="me", password="right"))
        report = await connection_test.run(system, "main")
        assert (report.ok, report.reason) == (True, "ok")
        assert server.mails == []
        assert (await connection_test.run(system, "main", "to@example.cn")).ok
        assert [mail.rcpt_to for mail in server.mails] == ["to@example.cn"]
        server.script["RCPT"] = [b"550 5.1.1 no\r\n"]
        refusal = await connection_test.run(system, "main", "to@example.cn")
        assert (refusal.ok, refusal.stage, refusal.reason) == (False, "rcpt", "no_such_mailbox")
    assert await refused(connection_test.run(system, "none")) == "sender_unknown"
    assert await refused(connection_test.run(system, "main", "nobody")) == "bad_address"


async def test_a_test_that_fails_ends_no_rest(system: AppContext) -> None:
    async with SmtpServer(users={"me": "right"}) as server:
        flow = await open_flow(system, server, "5678", account="me", password="wrong")
        async with system.database.write() as tx:
            rest = {"cooldown_until": clock.now() + 60_000, "failures": 1}
            await tx.run(update(table).values(rest))
        report = await connection_test.run(system, "main")
        assert (report.ok, report.stage, report.reason) == (False, "auth", "credentials")
        assert (await flow.sender()).cooldown_until is not None
        assert "wrong" not in report.detail


async def test_a_change_to_a_taken_name_is_refused(system: AppContext) -> None:
    await senders.create(system, account(465, code="one", name="First"))
    await senders.create(system, account(465, code="two", name="Second"))
    clash = account(465, code="two", name="First")
    assert await refused(senders.change(system, clash)) == "name_taken"
    assert (await senders.show(system, "two")).name == "Second"
