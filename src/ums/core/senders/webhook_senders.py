"""Webhook senders: each delivery is posted to an HTTP service of the operator's own."""

from typing import Any, Final

import httpx
import msgspec
from msgspec import Struct

from ums import clock
from ums.core.channels.channels import check_name
from ums.core.common.field_errors import Check, all_awaited, all_of
from ums.core.common.preconditions import Expect, anything
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.net.http_client import parse_url
from ums.core.net.ssrf_guard import is_inside
from ums.core.net.standard_webhooks import new_secret
from ums.core.senders import sender_rows, senders
from ums.core.senders.sender_rows import SenderRow, secret_context
from ums.core.senders.senders import SenderInfo, secret_of
from ums.core.senders.validation import refuse_controls
from ums.core.transports import webhook_settings
from ums.core.transports.accounts import WEBHOOK
from ums.core.transports.webhook_settings import Authentication, WebhookSecrets, WebhookSettings
from ums.db import to_json
from ums.errors import Invalid, UmsError
from ums.mail.send_limits import SendLimit

OVERLAP: Final = 24 * clock.HOUR
MOST: Final = 4096  # characters of a user or password


class NewWebhookSender(Struct, frozen=True, kw_only=True):
    """What an administrator gives to make or to change a webhook sender."""

    code: str
    name: str
    url: str
    account: str = ""  # of Basic; with a password alone that is a bearer token
    password: str | None = None  # None keeps the one that is stored
    deduplicates: bool = False
    channels: list[str] = []
    caps: list[SendLimit] | None = None  # None keeps those that are stored
    urgent_reserve_percent: int | None = None


async def create(system: AppContext, given: NewWebhookSender) -> SenderInfo:
    """Make a sender with a new signing secret, which the answer alone shows. Raises Invalid."""
    sender_rows.check_code(given.code)
    for check in _checks(given, None):
        check()
    settings = _settings(given, None)
    opened = WebhookSecrets(new_secret(), given.password or "")
    await sender_rows.add(system, _row(system, given, settings, opened))
    return _with_secret(await senders.show(system, given.code), opened)


async def change(
    system: AppContext,
    given: NewWebhookSender,
    expect: Expect = anything,
    *,
    open: bool | None = None,
) -> SenderInfo:
    """Change the sender of `given.code`. A password goes to another URL only when it is given
    again; the signing secret stays. Raises Invalid, and what `expect` raises."""
    old = await _webhook(system, given.code)
    before = webhook_settings.read(old.settings)
    for check in _checks(given, before):
        check()
    settings = _settings(given, before)
    opened = webhook_settings.read_secrets(secret_of(system, old))
    password = opened.password if given.password is None else given.password
    if settings.authentication == "none":
        password = ""
    opened = msgspec.structs.replace(opened, password=password)
    row = _row(system, given, settings, opened, moved=settings.url != before.url)
    noted = "" if given.password is None else "new"
    async with system.directory.change() as tx:
        await senders.check_expected(tx, old.id, expect)
        await sender_rows.change(tx, old, row, open=open, secret_note=noted)
    return await senders.show(system, given.code)


async def edit(
    system: AppContext,
    code: str,
    changes: dict[str, Any],
    open: bool | None = None,
    expect: Expect = anything,
) -> SenderInfo:
    """Change the fields of NewWebhookSender that `changes` names; `open` also pauses or resumes.
    Raises as `change`."""
    old = await _webhook(system, code)
    held: dict[str, Any] = msgspec.structs.asdict(webhook_settings.read(old.settings))
    held.pop("authentication")
    held |= {"code": code, "name": old.name, **changes}
    given = NewWebhookSender(**held)
    return await change(system, given, expect, open=open)


async def rotate(system: AppContext, code: str, overlap: int = OVERLAP) -> SenderInfo:
    """Give it a new signing secret, which the answer alone shows; for `overlap` ms the old one
    signs as well."""
    old = await _webhook(system, code)
    settings = webhook_settings.read(old.settings)
    before = webhook_settings.read_secrets(secret_of(system, old))
    until = clock.now() + overlap
    opened = WebhookSecrets(new_secret(), before.password, before.signing, until)
    given = NewWebhookSender(code=code, name=old.name, url=settings.url)
    row = _row(system, given, settings, opened)
    async with system.directory.change() as tx:
        await sender_rows.change(tx, old, row, secret_note="new")  # noqa: S106  (no secret)
    return _with_secret(await senders.show(system, code), opened)


async def errors_of(system: AppContext, given: NewWebhookSender, *, new: bool) -> list[UmsError]:
    """All that is wrong with a sender that is to be made (`new`) or changed."""
    checks: list[Check] = [lambda: sender_rows.check_code(given.code)] if new else []
    before = None
    if not new:
        before = webhook_settings.read((await _webhook(system, given.code)).settings)
    found = all_of([*checks, *_checks(given, before)])
    async with system.database.read() as tx:
        taken = [sender_rows.check_name_free(tx, given.code, given.name)]
        taken += [sender_rows.check_code_free(tx, given.code)] if new else []
        return [*found, *await all_awaited(taken)]


async def _webhook(system: AppContext, code: str) -> Sender:
    sender = await system.directory.sender(code)
    if sender.type != WEBHOOK:
        raise Invalid("sender_type_other", code=code, type=sender.type)
    return sender


def _row(
    system: AppContext,
    given: NewWebhookSender,
    settings: WebhookSettings,
    opened: WebhookSecrets,
    *,
    moved: bool = False,
) -> SenderRow:
    sealed = to_json(opened)
    return SenderRow(
        code=given.code,
        name=given.name,
        type=WEBHOOK,
        settings=to_json(settings),
        secret=system.seal.close(sealed, secret_context(given.code, settings)),
        channels=given.channels,
        caps=given.caps,
        urgent_reserve_percent=given.urgent_reserve_percent,
        moved=moved,
    )


def _settings(given: NewWebhookSender, before: WebhookSettings | None) -> WebhookSettings:
    return WebhookSettings(
        url=str(parse_url(given.url)),
        authentication=_authentication(given, before),
        account=given.account,
        deduplicates=given.deduplicates,
    )


def _authentication(given: NewWebhookSender, before: WebhookSettings | None) -> Authentication:
    if given.account:
        return "basic"
    if given.password is None:
        return "bearer" if before is not None and before.authentication == "bearer" else "none"
    return "bearer" if given.password else "none"


def _checks(given: NewWebhookSender, before: WebhookSettings | None) -> list[Check]:
    return [
        lambda: check_name(given.name),
        lambda: _check_url(given, before),
        lambda: _check_account(given.account),
        lambda: _check_text(given.password or "", "password"),
        lambda: _check_password(given, before),
    ]


def _url(text: str) -> httpx.URL | None:
    try:
        url = parse_url(text)
    except ValueError:
        return None
    return None if url.fragment else url


def _check_url(given: NewWebhookSender, before: WebhookSettings | None) -> None:
    url = _url(given.url)
    if url is None:
        raise Invalid("webhook_url", field="url")
    secure = url.scheme == "https" or is_inside(url.host)
    if not secure and _authentication(given, before) != "none":
        raise Invalid("webhook_insecure", field="url")


def _check_account(account: str) -> None:
    _check_text(account, "account")
    if ":" in account:
        raise Invalid("bad_value", field="account")


def _check_text(text: str, field: str) -> None:
    if len(text) > MOST:
        raise Invalid("bad_value", field=field)
    refuse_controls(text, field)


def _check_password(given: NewWebhookSender, before: WebhookSettings | None) -> None:
    """Raises Invalid where Basic has no password, and where one that is stored would go
    elsewhere."""
    stored = before is not None and before.authentication != "none"
    if given.account and not (given.password or (given.password is None and stored)):
        raise Invalid("webhook_password", field="password")
    if before is None or given.password is not None or not stored:
        return
    url = _url(given.url)
    if (str(url), given.account) != (before.url, before.account):
        raise Invalid("webhook_password_again", field="password")


def _with_secret(info: SenderInfo, opened: WebhookSecrets) -> SenderInfo:
    return msgspec.structs.replace(info, signing_secret=opened.signing)
