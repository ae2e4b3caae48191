"""Webhook senders as they are stored: what they may be, and where their secrets may go."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.senders import mailboxes, senders, webhook_senders
from ums.core.senders.mailboxes import NewMailbox
from ums.core.senders.senders import NewSender, SenderInfo, secret_of
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.core.tables import audit
from ums.core.transports import webhook_settings
from ums.core.transports.webhook_settings import WebhookSecrets
from ums.errors import Conflict, Invalid, UmsError
from ums.mail.send_limits import SendLimit

URL = "https://hooks.example.com/s3cret-path"


def given(**changes: Any) -> NewWebhookSender:
    return NewWebhookSender(**{"code": "hook", "name": "Hook", "url": URL, **changes})


async def secrets_of(system: AppContext) -> WebhookSecrets:
    return webhook_settings.read_secrets(secret_of(system, await system.directory.sender("hook")))


async def reason_of(system: AppContext, **changes: Any) -> str:
    with pytest.raises(UmsError) as caught:
        await webhook_senders.create(system, given(**changes))
    return caught.value.reason


async def test_it_is_shown_with_its_url_and_its_secret_once(system: AppContext) -> None:
    await channels.create(system, "News", "1234")
    made = await webhook_senders.create(system, given(channels=["1234"], account="u", password="p"))
    assert (made.type, made.url, made.authentication) == ("webhook", URL, "basic")
    assert (made.host, made.port, made.encryption) == ("hooks.example.com", 443, "ssl")
    assert (made.from_address, made.channels) == ("", ["1234"])
    assert str(made.signing_secret).startswith("whsec_")
    shown = await senders.show(system, "hook")
    assert shown.signing_secret is msgspec.UNSET
    assert (await secrets_of(system)).password == "p"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "all"}, "code_shape"),
        ({"name": ""}, "missing"),
        ({"url": "ftp://example.com"}, "webhook_url"),
        ({"url": "https://u:p@example.com/"}, "webhook_url"),
        ({"url": "https://example.com/#x"}, "webhook_url"),
        ({"url": "http://example.com/", "password": "t"}, "webhook_insecure"),
        ({"account": "u"}, "webhook_password"),
        ({"account": "u:v", "password": "p"}, "bad_value"),
        ({"password": "a\r\nb"}, "control_characters"),
        ({"channels": ["9999"]}, "channel_unknown"),
    ],
)
async def test_what_it_may_not_be(system: AppContext, changes: dict[str, Any], reason: str) -> None:
    assert await reason_of(system, **changes) == reason


async def test_http_with_credentials_goes_to_a_private_address_alone(system: AppContext) -> None:
    made = await webhook_senders.create(system, given(url="http://10.0.0.1:8080/", password="t"))
    assert (made.port, made.authentication) == (8080, "bearer")


async def test_code_and_name_are_its_own(system: AppContext) -> None:
    await webhook_senders.create(system, given())
    for changes in ({"name": "Other"}, {"code": "other"}):
        with pytest.raises(Conflict):
            await webhook_senders.create(system, given(**changes))


async def test_a_password_goes_elsewhere_only_when_it_is_typed_again(system: AppContext) -> None:
    await webhook_senders.create(system, given(password="token"))
    before = await secrets_of(system)
    for changes in ({"url": "https://other.example/"}, {"account": "u"}):
        with pytest.raises(Invalid) as caught:
            await webhook_senders.edit(system, "hook", changes)
        assert caught.value.reason == "webhook_password_again"
    await webhook_senders.edit(system, "hook", {"url": "https://other.example/", "password": "new"})
    after = await secrets_of(system)
    assert (after.password, after.signing) == ("new", before.signing)


async def test_what_is_not_named_stays(system: AppContext) -> None:
    caps = [SendLimit(5, 60)]
    await webhook_senders.create(system, given(password="token", caps=caps, deduplicates=True))
    changed = await webhook_senders.edit(system, "hook", {"name": "New"}, False)
    assert (changed.name, changed.url, changed.open) == ("New", URL, False)
    assert (changed.authentication, changed.deduplicates, changed.caps) == ("bearer", True, caps)
    assert (await secrets_of(system)).password == "token"


async def test_an_empty_password_forgets_it(system: AppContext) -> None:
    await webhook_senders.create(system, given(account="u", password="p"))
    changed = await webhook_senders.edit(system, "hook", {"account": "", "password": ""})
    assert changed.authentication == "none"
    assert (await secrets_of(system)).password == ""


async def test_the_audit_log_tells_the_host_and_neither_path_nor_secrets(
    system: AppContext,
) -> None:
    await webhook_senders.create(system, given(password="t0ps3cret"))
    await webhook_senders.rotate(system, "hook")
    async with system.database.read() as tx:
        rows = await tx.rows(select(audit))
    told = str([tuple(row) for row in rows])
    assert "hooks.example.com" in told
    for secret in ("s3cret-path", "t0ps3cret", (await secrets_of(system)).signing):
        assert secret not in told


async def _as_email(system: AppContext) -> SenderInfo:
    mail = NewSender(
        code="hook", name="Hook", host="h", port=465, encryption="ssl", from_address="a@b.cn"
    )
    return await senders.change(system, mail)


async def _mailbox(system: AppContext) -> object:
    return await mailboxes.set_mailbox(system, "hook", NewMailbox(host="h", password="p"))


@pytest.mark.parametrize("work", [_as_email, _mailbox])
async def test_what_an_email_account_has_does_not_apply(system: AppContext, work: Any) -> None:
    await webhook_senders.create(system, given())
    with pytest.raises(Invalid) as caught:
        await work(system)
    assert caught.value.reason == "sender_type_other"


async def test_what_every_sender_has_is_changed_by_the_same_way(system: AppContext) -> None:
    await webhook_senders.create(system, given())
    changed = await senders.edit(system, "hook", {"caps": [SendLimit(3, 60)], "name": "N"}, False)
    assert (changed.caps, changed.name, changed.open) == ([SendLimit(3, 60)], "N", False)
    with pytest.raises(Invalid):
        await senders.edit(system, "hook", {"host": "mail.example.com"})


async def test_an_email_sender_is_none(system: AppContext) -> None:
    mail = NewSender(
        code="mail",
        name="Mail",
        host="mail.example.com",
        port=465,
        encryption="ssl",
        from_address="a@example.com",
    )
    await senders.create(system, mail)
    with pytest.raises(Invalid) as caught:
        await webhook_senders.rotate(system, "mail")
    assert caught.value.reason == "sender_type_other"
