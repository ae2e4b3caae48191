"""The connection doctor: each step told as it happens, and what would help where one fails."""

import pytest

from support.fakes import Certificates, SmtpServer
from support.flow import account
from ums import trust
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.reporting.reason_texts import REASONS, meaning, remedy
from ums.core.senders import connection_test, senders
from ums.core.senders.connection_test import StepReport


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture(autouse=True)
async def channel(system: AppContext) -> None:
    await channels.create(system, "One", "1234")


async def steps_of(system: AppContext, to: str | None = None) -> list[StepReport]:
    return [step async for step in await connection_test.begin(system, "main", to)]


def stages(steps: list[StepReport]) -> list[tuple[str, bool]]:
    return [(str(step.stage), step.ok) for step in steps]


async def test_a_good_account_passes_every_step(
    system: AppContext, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "context", certificates.client)
    async with SmtpServer(
        tls="starttls", context=certificates.server(), users={"me": "right"}
    ) as server:
        given = account(
            server, host="localhost", encryption="starttls", account="me", password="right"
        )
        await senders.create(system, given)
        steps = await steps_of(system)
        way = ["resolve", "connect", "greeting", "ehlo", "tls", "ehlo", "auth", "mail", "rcpt"]
        assert stages(steps) == [(stage, True) for stage in way]
        facts = {str(step.stage): step.facts for step in steps}
        assert facts["tls"]["protocol"].startswith("TLSv1.")
        assert "localhost" in facts["tls"]["names"]
        assert facts["tls"]["valid_until"] > "2026"
        assert facts["auth"]["method"] == "PLAIN"
        assert "8BITMIME" in facts["ehlo"]["features"]
        assert server.verbs()[-2:] == ["RSET", "QUIT"]
        assert server.mails == []
        sent = await steps_of(system, "to@example.cn")
        assert stages(sent)[-1] == ("dot", True)
        assert [mail.rcpt_to for mail in server.mails] == ["to@example.cn"]


@pytest.mark.parametrize("tls", ["ssl", "starttls"])
async def test_a_certificate_that_is_not_trusted_is_shown(
    system: AppContext, certificates: Certificates, tls: str
) -> None:
    async with SmtpServer(tls=tls, context=certificates.server()) as server:  # type: ignore[arg-type]
        await senders.create(system, account(server, host="localhost", encryption=tls))
        failed, ways = (await steps_of(system))[-2:]
    assert (failed.stage, failed.ok, failed.reason) == ("tls", False, "tls")
    assert "localhost" in failed.facts["names"]
    assert "certificate refused" in failed.detail
    assert ways.stage == connection_test.WAYS


async def test_the_mode_that_fits_is_found(system: AppContext) -> None:
    async with SmtpServer() as server:
        await senders.create(system, account(server, encryption="ssl"))
        steps = await steps_of(system)
        assert stages(steps)[-2:] == [("tls", False), ("ways", True)]
        (way,) = steps[-1].ways
        assert (way.port, way.encryption) == (server.port, "none")
        report = await connection_test.run(system, "main")
        assert (report.ok, report.stage, report.reason) == (False, "tls", "tls")


@pytest.mark.parametrize("users", [None, {"me": "right"}])
async def test_a_way_without_a_log_in_is_not_offered(
    system: AppContext,
    certificates: Certificates,
    users: dict[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust, "context", certificates.client)
    async with SmtpServer(tls="starttls", context=certificates.server(), users=users) as server:
        given = account(server, host="localhost", encryption="ssl", account="me", password="right")
        await senders.create(system, given)
        report = await connection_test.run(system, "main")
    offered = [way.encryption for step in report.steps for way in step.ways]
    assert offered == (["starttls"] if users else [])


async def test_a_refusal_is_decoded(system: AppContext) -> None:
    async with SmtpServer(users={"me": "right"}) as server:
        server.script["AUTH"] = [b"535 " + "登录失败，请使用授权码登录".encode("gbk") + b"\r\n"]
        await senders.create(system, account(server, account="me", password="wrong"))
        last = (await steps_of(system))[-1]
    assert (last.stage, last.ok, last.reason) == ("auth", False, "credentials")
    assert last.detail == "535 登录失败，请使用授权码登录"
    assert "授权码" in remedy(last.reason, "zh")


async def test_a_server_without_our_mailbox_is_a_warning_only(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = [b"550 5.1.1 no such user\r\n", b"550 5.1.1 no such user\r\n"]
        await senders.create(system, account(server))
        last = (await steps_of(system))[-1]
        assert (last.stage, last.ok, last.reason) == ("rcpt", True, "no_such_mailbox")
        last = (await steps_of(system, "to@example.cn"))[-1]
        assert (last.stage, last.ok) == ("rcpt", False)


async def test_a_sender_address_that_is_not_the_accounts(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["MAIL"] = [b"501 Mail from address must be same as authorization user.\r\n"]
        await senders.create(system, account(server))
        last = (await steps_of(system))[-1]
    assert (last.stage, last.ok, last.reason) == ("mail", False, "sender_refused")


def test_every_reason_says_what_it_means() -> None:
    for reason, told in REASONS.items():
        assert told.en.endswith("."), reason
        assert told.zh.endswith("。"), reason
        assert bool(told.do_en) == bool(told.do_zh), reason
    assert meaning("of_an_older_release", "en") == "of_an_older_release"
    assert remedy("of_an_older_release", "zh") == ""
