"""Authorities of the installation's own (UMS_CA_FILE), the name in EHLO, and other ways to a server
that only those are told of which it takes."""

from pathlib import Path

import msgspec
import pytest

from support.fakes import Certificates, SmtpServer
from support.flow import account
from support.imap import ImapServer, mailbox_at
from ums import trust
from ums.config import Settings, SettingsError
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.deliveries import mailbox_polling
from ums.core.maintenance.startup import open_system
from ums.core.senders import connection_test, mailboxes, senders


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "var", demo=False, ehlo_name="mx.corp.example")


async def said_of(system: AppContext, server: SmtpServer, box: ImapServer) -> tuple[str, str]:
    """What a test of the sender says, and what a look into its mailbox does."""
    await channels.create(system, "One", "1234")
    given = account(server, host="localhost", encryption="starttls", channels=["1234"])
    await senders.create(system, given)
    report = await connection_test.run(system, "main")
    given_box = mailbox_at(box.port, host="localhost", encryption="ssl")
    await mailboxes.set_mailbox(system, "main", given_box)
    return report.reason, (await mailbox_polling.look_now(system, "main")).problem


@pytest.mark.parametrize("believed", [True, False])
async def test_an_authority_of_our_own(plain: Settings, tmp_path: Path, *, believed: bool) -> None:
    made = Certificates()
    path = tmp_path / "authority.pem"
    made.authority.cert_pem.write_to_path(str(path))
    settings = msgspec.structs.replace(plain, ca_file=str(path) if believed else "")
    async with (
        open_system(settings) as system,
        SmtpServer(tls="starttls", context=made.server()) as server,
        ImapServer(context=made.server()) as box,
    ):
        said = await said_of(system, server, box)
        authorities = len(trust.context().get_ca_certs())
    trust.use("")
    assert said == (("ok", "") if believed else ("tls", "mailbox_tls"))
    # The system's own are believed as before.
    assert authorities == len(trust.context().get_ca_certs()) + believed


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_file_that_holds_none(plain: Settings, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="UMS_CA_FILE"):
        async with open_system(msgspec.structs.replace(plain, ca_file=str(path))):
            pass


async def test_the_name_in_ehlo(plain: Settings) -> None:
    async with open_system(plain) as system, SmtpServer() as server:
        await channels.create(system, "One", "1234")
        await senders.create(system, account(server))
        assert (await connection_test.run(system, "main")).ok
        assert "EHLO mx.corp.example" in {one.line for one in server.commands}


async def test_no_way_in_clear_where_the_server_offers_starttls(plain: Settings) -> None:
    made = Certificates()
    async with (
        open_system(plain) as system,
        SmtpServer(tls="starttls", context=made.server()) as server,
    ):
        await channels.create(system, "One", "1234")
        await senders.create(system, account(server, host="localhost", encryption="ssl"))
        steps = [step async for step in await connection_test.begin(system, "main", None)]
    assert all(way.encryption != "none" for step in steps for way in step.ways)
