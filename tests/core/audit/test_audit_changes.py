"""What the audit log says of edits: before and after, and where a request changed nothing."""

import ast
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import ums
from support.audited import flaw_of
from ums.core.audit import audit_gate, audit_log
from ums.core.audit.audit_log import Acting, AuditEntry
from ums.core.channels import access_lists, channels, content_filter, strategies
from ums.core.channels.access_lists import Entry
from ums.core.context.app_context import AppContext
from ums.core.context.directory import AccessKey, Channel
from ums.core.deliveries import suppressions
from ums.core.identity import api_tokens, invitations, operator_access, operators, proofs, sessions
from ums.core.identity.api_tokens import NewToken
from ums.core.senders import mailboxes, reply_rules, routing, senders, warm_up
from ums.core.senders.mailboxes import NewMailbox
from ums.core.senders.senders import NewSender
from ums.core.settings import branding, runtime_settings
from ums.core.tables import operators as operator_rows
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
    key = (await channels.create(system, "One", "one1")).channelkey
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
    await senders.edit(
        system, code, {"caps": [SendLimit(count=5, seconds=60)], "urgent_reserve_percent": 20}
    )
    before, after = await _both(system, "sender.change")
    assert (before, after) == (
        {"caps": [], "urgent_reserve_percent": 10},
        {
            "caps": [{"count": 5, "seconds": 60, "of": "mails", "reset": ""}],
            "urgent_reserve_percent": 20,
        },
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
    await runtime_settings.change(system, {"audit_retention_days": 30})


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


async def _word(system: AppContext, channel: Channel) -> None:
    await content_filter.add(system, "Casino", channel)
    await content_filter.remove(system, "casino", channel)


async def _list(system: AppContext, channel: Channel) -> None:
    made = await access_lists.create(system, channel, "block", "Left")
    given = [Entry("userid", "lisi"), Entry("address", "a@example.org")]
    await access_lists.add(system, channel, "block", made.id, given)
    await access_lists.remove(system, channel, "block", made.id, given[:1])
    await access_lists.remove_list(system, channel, "block", made.id)


async def _suppression(system: AppContext, channel: Channel) -> None:
    await suppressions.add(system, channel, ["a@example.org"])
    await suppressions.lift(system, channel, ["a@example.org", "b@example.org"])


async def _tokens(system: AppContext, channel: Channel) -> None:
    made = await api_tokens.create(system, NewToken("ci", ["messages:read"], [channel.key]))
    await api_tokens.revoke(system, made.id)


async def _operator(system: AppContext, channel: Channel) -> None:
    password, channels = "seven grey herons", [channel.id]
    await operators.create(
        system, "anna", password, "viewer", channels=channels, must_change_password=True
    )
    await operators.set_password(system, "anna", "eight grey herons")
    async with system.database.write() as tx:
        row: Any = await tx.first(select(operator_rows))
        await sessions.begin(tx, proofs.of_password(row), "192.0.2.1", "a browser")
    await sessions.set_zone(system, row.id, "Asia/Shanghai")
    await sessions.end_all(system, row.id)
    await operator_access.reset_second_factor(system, "anna")


async def _brand(system: AppContext, _: Channel) -> None:
    await branding.change(system, name="Ours")


async def _segments(system: AppContext, _: Channel) -> None:
    made = await segments.create(system, "All")
    await segments.remove(system, made.id)


async def _reply_rule(system: AppContext, _: Channel) -> None:
    made = await reply_rules.create(system, "no such person here", "no_such_mailbox")
    await reply_rules.remove(system, made.id)


async def _users(system: AppContext, _: Channel) -> None:
    change: dict[str, Any] = {"attributes": {"city": "Wuhan"}, "add": {"tag": {"all": ["vip"]}}}
    for entry in ({}, change):
        await users.opt(system, _KEY, [{"userid": "lisi", **entry}])
    await users.delete(system, _KEY, ["lisi"])


_TOKEN = {"name": "ci", "scopes": ["messages:read"], "channels": ["one1"], "expires_at": None}
_ANNA = {"role": "viewer", "disabled": False, "channels": [1], "must_change_password": True}
_SET, _CHANGED = ({"password": "***", "must_change_password": must} for must in (True, False))
_WORD = {"word": "casino", "exempt": False}
_RULE = {"text": "no such person here", "code": "", "reason": "no_such_mailbox"}
_ALL = {"name": "All", "conditions": "{}"}
_TOLD: list[tuple[Any, list[tuple[str, Fields, Fields]]]] = [
    (_word, [("word.add", None, _WORD), ("word.remove", _WORD, None)]),
    (
        _list,
        [
            ("blocklist.create", None, {"name": "Left"}),
            ("blocklist.add", None, {"from 1": ["address a@example.org", "userid lisi"]}),
            ("blocklist.remove", {"from 1": ["userid lisi"]}, None),
            ("blocklist.delete", {"name": "Left", "entries": 1}, None),
        ],
    ),
    (
        _suppression,
        [
            ("suppression.add", None, {"from 1": ["a@example.org"]}),
            ("suppression.lift", {"from 1": ["a@example.org"]}, None),
        ],
    ),
    (
        _tokens,
        [
            ("token.create", None, _TOKEN),
            ("token.revoke", _TOKEN, None),
        ],
    ),
    (
        _operator,
        [
            ("operator.create", None, _ANNA),
            ("operator.change", _SET, _CHANGED),
            ("operator.zone", {"zone": ""}, {"zone": "Asia/Shanghai"}),
            ("operator.sign_out_everywhere", {"sessions": 1}, {"sessions": 0}),
            ("operator.reset_second_factor", {}, {}),
        ],
    ),
    (_brand, [("brand.change", {"name": ""}, {"name": "Ours"})]),
    (_segments, [("segment.create", None, _ALL), ("segment.delete", _ALL, None)]),
    (_reply_rule, [("reply_rule.create", None, _RULE), ("reply_rule.delete", _RULE, None)]),
    (
        _users,
        [
            ("user.put", None, {}),
            (
                "user.put",
                {"tag all": [], "attributes": {"city": None}},
                {"tag all": ["vip"], "attributes": {"city": "Wuhan"}},
            ),
            ("user.delete", {"tag all": ["vip"], "attributes": {"city": "Wuhan"}}, None),
        ],
    ),
]


@pytest.mark.parametrize(("act", "told"), _TOLD, ids=lambda one: getattr(one, "__name__", ""))
async def test_what_is_made_changed_and_deleted_is_noted_as_it_was_and_is(
    system: AppContext,
    act: Callable[[AppContext, Channel], Awaitable[None]],
    told: list[tuple[str, Fields, Fields]],
) -> None:
    channel = await _channel(system)
    async with system.database.read() as tx:
        before = len((await audit_log.list_audit(tx)).items)
    await act(system, channel)
    async with system.database.read() as tx:
        found = (await audit_log.list_audit(tx, sort="created_at")).items[before:]
    assert [(one.action, one.before, one.after) for one in found][: len(told)] == told


async def test_an_invitation_and_a_new_secret_are_noted(system: AppContext) -> None:
    channel = await _channel(system)
    await invitations.create(system, "viewer", [channel.id], actor="local")
    before, after = await _both(system, "operator.invite")
    assert before is None
    assert after is not None
    assert (after["role"], after["channels"], "expires_at" in after) == (
        "viewer",
        [channel.id],
        True,
    )
    await channels.rotate(system, channel.key)
    before, after = await _both(system, "channel.rotate")
    assert before == {"mastersecret": "***"}
    assert after is not None
    assert set(after) == {"mastersecret", "old_good_until"}


@pytest.mark.parametrize(
    ("action", "before", "after", "lacks"),
    [
        ("thing.change", None, {"a": 1}, "before"),
        ("thing.change", {"a": 1}, None, "after"),
        ("thing.create", None, None, "after"),
        ("thing.create", None, {}, "after"),
        ("thing.delete", None, None, "before"),
        ("thing.put", None, None, "after"),
        ("thing.change", {"a": 1}, {"a": 2}, ""),
        ("thing.change", {}, {}, ""),
        ("thing.create", None, {"a": 1}, ""),
        ("thing.delete", {"a": 1}, None, ""),
        ("operator.sign_in", None, None, ""),
    ],
)
def test_what_an_entry_lacks_is_found(
    action: str, before: object, after: object, lacks: str
) -> None:
    """Else the check of every entry of every test (`tests/conftest.py`) could not fail."""
    assert flaw_of(action, before, after) == (f"{action} has no {lacks}" if lacks else "")


async def test_an_entry_without_before_and_after_fails_its_test(
    system: AppContext, audited: list[str]
) -> None:
    await audit_gate.settle(system.database, Acting("local", ""), "sender.invented", "main")
    assert audited[0] == "sender.invented has no before and no after (ums.core.audit.audit_gate)"
    audited.clear()


def test_every_note_in_the_source_says_before_and_after() -> None:
    """Also where no test goes: as far as the code names its action."""
    lacking, polled_at = list[str](), 0
    for path in sorted(Path(ums.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) != "audit_log.note":
                continue
            given = [one.arg for one in call.keywords]
            action = ast.unparse(call.args[1]).strip("\"'")
            action = suppressions.HELD_BACK if action == "HELD_BACK" else action
            before, after = ({"a": 1} if name in given else None for name in ("before", "after"))
            polled_at += 1
            named = re.fullmatch(r"[a-z_]+\.[a-z_]+", action)
            flaw = flaw_of(action, before, after) if named else not (before or after)
            if flaw and path.name != "audit_gate.py":
                lacking.append(f"{path.name}:{call.lineno} {action}")
    assert lacking == []
    assert polled_at > 60
