"""The audit log's page, and what the console leaves in it."""

import ast
import re
from pathlib import Path

import httpx
import pytest
import structlog
from sqlalchemy import delete, func, select, update

import ums
from console.conftest import Visit, browsing
from console.world import furnish
from support.clocks import Time
from support.doors import Door, OneChannel
from ums.api.audit_middleware import NAMES
from ums.console.administration.audit_log import action_words
from ums.console.i18n import LANGUAGES
from ums.console.reauthentication import PAGE, RECENT
from ums.core.audit import audit_log
from ums.core.audit.audit_ends import HEAD
from ums.core.audit.audit_log import AuditEntry
from ums.core.tables import audit as rows
from ums.core.tables import meta


async def _last(door: Door, action: str) -> AuditEntry:
    async with door.system.database.read() as tx:
        return (await audit_log.list_audit(tx, action=action, limit=1)).items[0]


async def _rename(visitor: httpx.AsyncClient, channel: OneChannel, name: str) -> None:
    answer = await visitor.post(f"/channels/{channel.key}", data={"name": name})
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize(("language", "words"), [("en", "Save as CSV"), ("zh", "导出 CSV")])
async def test_the_page_shows_from_where_and_what_changed(
    door: Door, visit: Visit, language: str, words: str
) -> None:
    visitor, channel = await visit(language=language), await door.channel()
    await _rename(visitor, channel, "After <b>")
    shown = (await visitor.get("/audit?action=channel.change")).text
    assert "operator:administrator0" in shown
    assert "127.0.0.1" in shown
    assert "<ins>After &lt;b&gt;</ins>" in shown
    assert "<del>channel " in shown
    assert words in shown


@pytest.mark.parametrize(("language", "words"), [("en", "Channel: changed"), ("zh", "渠道：修改")])
async def test_actions_have_words(door: Door, visit: Visit, language: str, words: str) -> None:
    visitor, channel = await visit(language=language), await door.channel()
    await _rename(visitor, channel, "After")
    shown = (await visitor.get("/audit?action=channel.change")).text
    assert words in shown
    assert "<code>channel.change</code>" in shown  # which one searches for


def test_every_action_that_is_named_has_words() -> None:
    named = {*NAMES.values(), "sign_in.failed", "sign_in.throttled", "access.failed", "link.failed"}
    for path in Path(ums.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and "note" in ast.unparse(call.func):
                given = [one.value for one in call.args if isinstance(one, ast.Constant)]
                named |= {one for one in map(str, given) if re.fullmatch(r"[a-z_]+\.[a-z_]+", one)}
    assert len(named) > 60
    for language in LANGUAGES:
        assert [one for one in sorted(named) if not action_words(one, language)] == []


async def test_the_log_can_be_saved_which_is_noted(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    await _rename(visitor, channel, "=cmd|x")
    saved = await visitor.get("/audit.csv?action=channel.change")
    header, row = saved.text.lstrip("\ufeff").splitlines()
    assert header == "id,at (UTC),actor,address,action,subject,times,detail,before,after"
    assert "operator:administrator0,127.0.0.1,channel.change" in row
    noted = await _last(door, "audit.export")
    assert (noted.actor, noted.address) == ("operator:administrator0", "127.0.0.1")
    assert noted.detail == "action=channel.change"


async def test_an_export_names_its_filters(door: Door, visit: Visit) -> None:
    visitor = await visit()
    message = (await furnish(door, visitor))["message"]
    for kind in ("csv", "xlsx"):
        await visitor.get(f"{message}/deliveries.{kind}?state=sent&address=a@example.org")
        noted = await _last(door, "message.export")
        assert noted.subject == message.rpartition("/")[2]
        assert noted.detail == "state=sent, address=a@example.org"


async def test_exports_and_leaving_are_noted(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    await visitor.get(f"/channels/{channel.key}/suppressions.csv")
    assert (await _last(door, "suppression.export")).subject == channel.key
    await visitor.get("/statistics.csv")
    await visitor.post("/logout")
    for action in ("statistics.export", "operator.sign_out", "operator.sign_in"):
        assert (await _last(door, action)).actor == "operator:administrator0"


async def test_the_page_says_whether_the_log_is_as_it_was_written(door: Door, visit: Visit) -> None:
    visitor = await visit()
    assert "It was not verified yet" in (await visitor.get("/audit")).text
    assert (await visitor.post("/audit/verify")).status_code == 303
    assert "nothing changed or missing" in (await visitor.get("/audit")).text
    saved = await visitor.post("/audit/checkpoint")
    assert saved.json()["format"] == "ums-audit-checkpoint-1"
    assert 'filename="audit-checkpoint.json"' in saved.headers["content-disposition"]
    async with door.system.database.write() as tx:
        await tx.run(update(rows).where(rows.c.seq == 1).values(detail="forged"))
    await visitor.post("/audit/verify")
    assert "Entry 1 of the chain was changed" in (await visitor.get("/audit")).text


@pytest.mark.parametrize(
    ("language", "words"), [("en", "New entries are not sealed"), ("zh", "新记录不会被封存")]
)
async def test_the_page_tells_of_a_log_that_is_sealed_no_further(
    door: Door, visit: Visit, language: str, words: str
) -> None:
    visitor = await visit(language=language)
    await visitor.post("/audit/verify")
    assert words not in (await visitor.get("/audit")).text
    async with door.system.database.write() as tx:
        await tx.run(delete(meta).where(meta.c.name == HEAD))
    shown = (await visitor.get("/audit")).text
    assert words in shown
    assert "ums audit accept" in shown
    refused = await visitor.post("/audit/checkpoint")
    assert refused.status_code == 409


async def test_who_is_turned_away_leaves_no_entry(door: Door, visit: Visit, time: Time) -> None:
    visitor = await visit()
    before = await _count(door)
    async with browsing(door) as stranger:
        for path in ("/tokens", "/operators/invite", "/users", "/logout"):
            assert (await stranger.post(path, data={"name": "x"})).status_code == 303, path
    time.at += RECENT + 1
    sent = await visitor.post("/tokens", data={"name": "x", "scopes": "admin"})
    assert sent.headers["location"].startswith(PAGE)
    assert await _count(door) == before


async def test_what_changes_nothing_leaves_no_entry(door: Door, visit: Visit) -> None:
    """Buttons that only change a form, questions, and forms that come back."""
    visitor, channel = await visit(), await door.channel()
    await visitor.post("/users", data={"userid": "lisi"})
    before = await _count(door)
    for path, fields in (
        ("/segments", {"name": "s", "count": "yes"}),
        ("/segments", {"name": "s", "switch": "yes"}),
        ("/users-chosen", {"doing": "delete"}),
        ("/users-chosen", {"doing": "delete", "userid": "lisi"}),
        ("/users-chosen", {"doing": "add", "userid": "lisi"}),
        (f"/channels/{channel.key}/suppressions/lift", {}),
    ):
        assert (await visitor.post(path, data=fields)).status_code in (200, 303), path
    assert await _count(door) == before


async def _count(door: Door) -> int:
    async with door.system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(rows)))


async def test_who_asks_for_too_much_is_logged(door: Door, visit: Visit) -> None:
    viewer, token = await visit("viewer"), await door.api_token("users:read")
    with structlog.testing.capture_logs() as logs:
        assert (await viewer.post("/tokens", data={"name": "x"})).status_code == 403
        assert (await door.get("/api/audit", token)).status == 403
    found = [(one["actor"].partition(":")[0], one["route"]) for one in logs]
    assert found == [("operator", "POST /tokens"), ("token", "GET /api/audit")]
    assert {one["event"] for one in logs} == {"forbidden"}


async def test_entries_of_the_gate_say_about_what(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    draft = {"channel": channel.key, "to": "people", "people": "a@example.org", "with": "text"}
    kept = await visitor.post("/send", data={**draft, "subject": "s", "body": "t"})
    assert kept.status_code == 303
    id = kept.headers["location"].split("/")[2]
    assert (await _last(door, "draft.keep")).subject == f"draft {id}"
    path = f"/statistics.csv?by=channel&days=7&channel={channel.key}"
    assert (await visitor.get(path)).status_code == 200
    assert (await _last(door, "statistics.export")).subject == f"{channel.key}, 7 days by channel"
    await visitor.post("/account/confirm", data={"password": "wrong", "code": ""})
    entry = await _last(door, "sign_in.failed")
    assert entry.subject == entry.actor.partition(":")[2]
    await visitor.post("/logout")
    assert (await _last(door, "operator.sign_out")).subject == entry.subject
