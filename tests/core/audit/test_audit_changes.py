"""What the audit log says of edits: before and after, and where a request changed nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from ums.core.audit import audit_log
from ums.core.audit.audit_log import AuditEntry
from ums.core.channels import channels, strategies
from ums.core.context.app_context import AppContext
from ums.core.context.directory import AccessKey, Channel
from ums.core.identity import api_tokens
from ums.core.identity.api_tokens import NewToken
from ums.core.senders import mailboxes, routing, senders, warm_up
from ums.core.senders.mailboxes import NewMailbox
from ums.core.senders.senders import NewSender
from ums.core.settings import runtime_settings
from ums.core.tables import tokens as token_rows
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.templates.inline import keep
from ums.core.templates.store import Change
from ums.core.users import segments, users
from ums.mail.send_limits import SendLimit
from ums.mail.warm_up_plan import WarmUp

Fields = dict[str, Any] | None


async def _last(system: AppContext, action: str) -> AuditEntry:
    async with system.database.read() as tx:
        return (await audit_log.list_audit(tx, action=action, limit=1)).items[0]


async def _both(system: AppContext, action: str) -> tuple[Fields, Fields]:
    entry = await _last(system, action)
    return entry.before, entry.after


async def _account(system: AppContext) -> str:
    new = NewSender(
        code="main",
        name="Main",
        host="smtp.example.org",
        port=465,
        encryption="ssl",
        account="a@example.org",
        password="hunter2-secret",
        from_address="a@example.org",
    )
    return (await senders.create(system, new)).code


async def _channel(system: AppContext) -> Channel:
    key = (await channels.create(system, "One")).channelkey
    return (await system.directory.now()).channels[key]


async def test_a_template_is_noted_with_what_was_written(system: AppContext) -> None:
    channel = await _channel(system)
    made = await store.create(system, channel, "One", Sources("Hello", text="a"))
    assert (await _last(system, "template.create")).after is not None
    await store.change(system, channel, made.id, Change(subject="Bye"))
    assert await _both(system, "template.change") == (
        {"version": 1, "subject": "Hello"},
        {"version": 2, "subject": "Bye"},
    )
    await store.change(system, channel, made.id, Change(subject="Bye"))
    assert await _both(system, "template.change") == ({}, {})
    await store.set_open(system, channel, made.id, open=False)
    assert await _both(system, "template.close") == ({"open": True}, {"open": False})
    await store.set_open(system, channel, made.id, open=False)
    assert await _both(system, "template.close") == ({}, {})


async def test_the_text_of_one_message_does_not_outlive_it_in_the_log(system: AppContext) -> None:
    channel = await _channel(system)
    id = await keep(system, channel, Sources("Private {{ a }}", text="x"), None)
    await keep(system, channel, Sources("Secret {{ a }}", text="x"), id)
    assert await _both(system, "template.create") == (None, {"version": 1})
    assert await _both(system, "template.change") == ({"version": 1}, {"version": 2})


async def test_a_strategy_is_noted(system: AppContext) -> None:
    channel = await _channel(system)
    made = await strategies.create(system, channel, "One")
    assert (await _both(system, "strategy.create"))[1] == {
        "steps": [{"type": "email", "wait": 0, "condition": None}],
        "valid": True,
    }
    await strategies.set_valid(system, channel, made.id, valid=False)
    assert await _both(system, "strategy.invalid") == ({"valid": True}, {"valid": False})
    await strategies.set_valid(system, channel, made.id, valid=False)
    assert await _both(system, "strategy.invalid") == ({}, {})
    await strategies.remove(system, channel, made.id)
    assert (await _both(system, "strategy.delete"))[0] is not None


async def test_a_sender_is_noted_with_its_caps_route_warm_up_and_mailbox(
    system: AppContext,
) -> None:
    channel, code = await _channel(system), await _account(system)
    await senders.edit(system, code, {"caps": [SendLimit(count=5, seconds=60)], "urgent_share": 20})
    before, after = await _both(system, "sender.change")
    assert (before, after) == (
        {"caps": [], "urgent_share": 10},
        {"caps": [{"count": 5, "seconds": 60, "of": "mails", "reset": ""}], "urgent_share": 20},
    )
    await senders.authorise(system, code, channel.key)
    held = {"authorised": True, "default": True}
    assert (await _both(system, "sender.authorise"))[1] == held
    await senders.authorise(system, code, channel.key)
    assert await _both(system, "sender.authorise") == ({}, {})
    await routing.set_leg(system, channel.key, code, rank=2, weight=1)
    assert await _both(system, "sender.route") == ({"rank": 0}, {"rank": 2})
    await warm_up.begin(system, code, WarmUp(target=100))
    assert (await _both(system, "sender.warm_up"))[1] == {
        "start": 50,
        "growth": 50,
        "target": 100,
        "zone": "Asia/Shanghai",
        "today": 50,
    }
    await warm_up.end(system, code)
    assert (await _both(system, "sender.warm_up_end"))[0] is not None
    await warm_up.end(system, code)
    assert await _both(system, "sender.warm_up_end") == ({}, {})
    box = NewMailbox(host="imap.example.org", password="hunter2-secret")
    await mailboxes.set_mailbox(system, code, box)
    await mailboxes.set_mailbox(system, code, NewMailbox(host="imap.example.org", inbox="In"))
    assert await _both(system, "sender.mailbox") == ({"inbox": "INBOX"}, {"inbox": "In"})
    await mailboxes.remove(system, code)
    assert ((await _both(system, "sender.mailbox_remove"))[0] or {})["inbox"] == "In"
    async with system.database.read() as tx:
        assert "hunter2-secret" not in repr((await audit_log.list_audit(tx)).items)


_KEY = AccessKey(1, "key", "secret", 0)


async def _user(system: AppContext) -> None:
    await users.opt(system, _KEY, [{"userid": "u1", "email": {"all": "u1@example.org"}}])


async def _no_user(system: AppContext) -> None:
    await users.delete(system, _KEY, ["nobody"])


async def _settings(system: AppContext) -> None:
    await runtime_settings.change(system, {"audit_days": 30})


async def _token(system: AppContext) -> None:
    async with system.database.read() as tx:
        there = await tx.first(select(token_rows.c.id))
    if there is None:
        await api_tokens.create(system, NewToken("ci", ["admin"]))
    await api_tokens.revoke(system, 1)


async def _segment(system: AppContext) -> None:
    if not await segments.list_segments(system):
        await segments.create(system, "s")
    await segments.change(system, 1, name="t")


@pytest.mark.parametrize(
    ("act", "action"),
    [
        (_user, "user.put"),
        (_no_user, "user.delete"),
        (_settings, "settings.change"),
        (_token, "token.revoke"),
        (_segment, "segment.change"),
    ],
)
async def test_what_was_so_already_is_noted_as_unchanged(
    system: AppContext, act: Callable[[AppContext], Awaitable[None]], action: str
) -> None:
    await act(system)
    await act(system)
    assert await _both(system, action) == ({}, {})
