"""The audit gate: whatever is changed, given out or refused at sign-in leaves an entry."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import func, select

import ums.core.verbs as verbs
from support.doors import Answer, Door
from support.worlds import OPERATIONS, World, make
from ums.api.audit_middleware import LINKS, NAMES, UNAUDITED, Audited
from ums.core.audit import audit_gate, audit_log
from ums.core.audit.audit_gate import Failures, Listings
from ums.core.tables import audit, messages
from ums.core.verbs.base import Nothing, Verb

READS = ("GET", "HEAD", "OPTIONS")
MAIL = {"aud_email": [{"data": ["a@example.org"]}], "msg_email": [{"subject": "s", "text": "t"}]}


async def _entries(door: Door) -> list[Any]:
    async with door.system.database.read() as tx:
        return list(await tx.rows(select(audit).order_by(audit.c.id)))


async def _count(door: Door) -> int:
    async with door.system.database.read() as tx:
        return await tx.value(select(func.count()).select_from(audit))


def _routes(door: Door) -> Iterator[tuple[str, str, Any]]:
    for route in door.app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                yield method, route.path_format, handler


async def _stub(_: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def test_every_writing_route_leaves_a_trace(shared: Door, audited: list[str]) -> None:
    """Each as if its handler had written nothing by itself."""
    app, walked = SimpleNamespace(state=SimpleNamespace(system=shared.system)), 0

    async def send(message: Any) -> None:
        assert message["status"] == 200

    for method, path, handler in _routes(shared):
        assert Audited in handler.resolve_middleware(), path
        if method in READS:
            continue
        scope: Any = {"type": "http", "method": method, "path": path, "path_template": path}
        scope |= {"route_handler": handler, "path_params": {}, "client": ("192.0.2.9", 1)}
        before = await _count(shared)
        await Audited(_stub)({**scope, "litestar_app": app}, None, send)  # type: ignore[arg-type]
        silent = f"{method} {path}" in UNAUDITED
        assert await _count(shared) - before == (0 if silent else 1), (method, path)
        walked += not silent
    assert walked > 120
    audited.clear()  # which is the gate's own entry: that of what has none by itself


async def test_the_tables_name_routes_that_are_there(shared: Door) -> None:
    there = {f"{method} {path}" for method, path, _ in _routes(shared)}
    assert set(UNAUDITED) | set(NAMES) | set(LINKS) <= there
    assert all(UNAUDITED.values())


async def test_every_writing_verb_leaves_a_trace(
    shared: Door, monkeypatch: pytest.MonkeyPatch, audited: list[str]
) -> None:
    async def run(*_: object) -> object:
        return {}

    def prepared(*_: object) -> tuple[Verb, Nothing]:
        return Verb(Nothing, run), Nothing()

    monkeypatch.setattr(verbs, "_prepared", prepared)
    assert set(verbs.UNAUDITED) <= set(verbs.VERBS)
    for name in verbs.VERBS:
        before = await _count(shared)
        await verbs.call(shared.system, None, name, {})  # type: ignore[arg-type]
        silent = name in verbs.UNAUDITED
        assert await _count(shared) - before == (0 if silent else 1), name
    audited.clear()


async def test_verbs_that_only_show_leave_no_trace(shared: Door) -> None:
    channel = await shared.channel()
    before = await _count(shared)
    for name, given in (
        ("channel.rules", {"key": channel.key}),
        ("sender.caps", {"code": channel.sender}),
        ("sender.mailbox", {"code": channel.sender}),
        ("migrate", {}),
    ):
        await verbs.call(shared.system, None, name, given)  # type: ignore[arg-type]
    assert await _count(shared) == before
    changes = {"key": channel.key, "changes": {"broadcasts_per_day": 3}}
    await verbs.call(shared.system, None, "channel.rules", changes)  # type: ignore[arg-type]
    last = (await _entries(shared))[before]
    assert (last.action, last.subject, last.after) == (
        "channel.rules",
        channel.key,
        '{"broadcasts_per_day":3}',
    )


async def test_every_change_by_the_management_api_is_noted_with_its_token(shared: Door) -> None:
    world: World = await make(shared)
    admin = await shared.api_token()
    changes = [one for one in OPERATIONS if one[0] not in READS]
    done = 0
    for operation in sorted(changes, key=lambda one: one[0] == "DELETE"):
        method, path, _ = operation
        if f"{method} {path}" in UNAUDITED:
            continue
        before = len(await _entries(shared))
        answer = await world.ask(operation, admin)
        if answer.status >= 300:
            continue
        new = [row for row in (await _entries(shared))[before:] if row.actor.startswith("token:")]
        assert new, (method, path)
        assert {row.address for row in new} == {"127.0.0.1"}
        done += 1
    assert done > 20


@pytest.mark.parametrize(
    "path", ["/v1/sent", "/v1/broadcast", "/v1/template/sent", "/v1/template/broadcast"]
)
async def test_of_what_v1_sends_the_message_is_the_record(shared: Door, path: str) -> None:
    channel = await shared.channel()
    body: dict[str, Any] = {"msg_email": MAIL["msg_email"]}
    if "/template/" in path:
        draft = {"name": "t", "subject": "s", "text": "t"}
        made = await shared.post(f"/api/channels/{channel.key}/templates", draft, channel)
        body = {"template_id": made.body["id"], "template_para": {}}
    if path.endswith("sent"):
        body |= {"aud_email": MAIL["aud_email"]}
    before = len(await _entries(shared))
    answer = await shared.post(path, body, channel)
    async with shared.system.database.read() as tx:
        row = await tx.first(select(messages).where(messages.c.msgid == answer.body["msgid"]))
    assert (row.requested_by, row.requested_from) == (f"channel:{channel.key}", "127.0.0.1")
    assert (await _entries(shared))[before:] == []  # it is no second record


async def test_users_that_v1_changes_are_noted_with_their_key(shared: Door) -> None:
    basic = await shared.access_key()
    people = [{"userid": f"noted{n:02}", "email": {"all": f"n{n}@example.org"}} for n in range(30)]
    await shared.post("/v1/user/opt", people, basic)
    await shared.post("/v1/user/delete", ["noted00"], basic)
    mine = [row for row in await _entries(shared) if row.actor == f"accesskey:{basic[0]}"]
    put = [row for row in mine if row.action == "user.put"]
    (deleted,) = [row for row in mine if row.action == "user.delete"]
    assert [row.subject for row in put] == ["30 users"] * 2
    assert [row.detail for row in put] == ["1 to 20 of 30", "21 to 30 of 30"]
    told = [one for row in put for one in json.loads(row.after)["users"]]
    assert [one["userid"] for one in told] == [one["userid"] for one in people]
    assert told[7] == {"userid": "noted07", "email all": ["n7@example.org"]}
    assert [row.before for row in put] == [None, None]  # they were not there
    assert deleted.subject == "noted00"
    assert json.loads(deleted.before) == {"email all": ["n0@example.org"], "attributes": {}}


async def _log_in(door: Door, name: str) -> Answer:
    origin = f"http://127.0.0.1:{door.port}"
    data = {"name": name, "password": "not this one"}
    return await door.ask("POST", "/login", headers={"Origin": origin}, data=data)


async def test_failed_sign_ins_are_noted_and_repeats_are_counted(door: Door) -> None:
    for _ in range(4):
        assert (await _log_in(door, "my-own-password")).status in (401, 429)
    await door.system.shared(Failures).flush(now=True)
    rows = [row for row in await _entries(door) if row.action.startswith("sign_in.")]
    assert sum(row.times for row in rows) == 4
    assert {(row.subject, row.address) for row in rows} == {("unknown", "127.0.0.1")}
    assert "my-own-password" not in repr(rows)


async def test_refused_programs_are_noted(door: Door) -> None:
    channel = await door.channel()
    for _ in range(3):
        await door.get("/api/channels", "ums_" + "x" * 43)
        await door.post("/v1/sent", MAIL, (channel.key, "wrong"))
        await door.post("/local/channel.list", {}, "wrong")
    await door.system.shared(Failures).flush(now=True)
    rows = [row for row in await _entries(door) if row.action == "access.failed"]
    assert sum(row.times for row in rows) == 9
    assert f"channel:{channel.key}" in {row.subject for row in rows}


async def test_a_failure_is_noted_as_whose_it_was_whoever_writes_it(door: Door) -> None:
    """Repeats are written by the request that comes after the minute, or at the end."""
    failures = door.system.shared(Failures)
    for _ in range(2):
        with audit_log.acting(audit_log.ANYBODY, "192.0.2.7"):
            await failures.count("access.failed", "channel:mine", "192.0.2.7")
    with audit_log.acting("operator:boss", "198.51.100.1"):
        await failures.flush(now=True)
    rows = [row for row in await _entries(door) if row.subject == "channel:mine"]
    assert [(row.actor, row.address, row.times) for row in rows] == [
        (audit_log.ANYBODY, "192.0.2.7", 1),
        (audit_log.ANYBODY, "192.0.2.7", 1),
    ]


async def test_a_stranger_cannot_fill_the_log(door: Door) -> None:
    before = await _count(door)
    for number in range(1000):
        await door.system.shared(Failures).count(
            "access.failed", "", f"10.{number // 250}.0.{number % 250}"
        )
        await door.system.shared(Failures).count("access.failed", "", f"2001:db8::{number:x}")
    await door.system.shared(Failures).flush(now=True)
    rows = (await _entries(door))[before:]
    assert len(rows) <= 2 * audit_gate.MOST + 4
    assert sum(row.times for row in rows) == 2000


LISTINGS = {
    "audit.list",
    "user.list",
    "delivery.list",
    "suppression.list",
    "list.entries",
    "segment.users",
}


async def test_a_program_that_dumps_people_leaves_one_entry_and_then_their_count(
    door: Door,
) -> None:
    basic, admin = await door.access_key(), await door.api_token()
    people = [{"userid": f"u{n}", "email": {"all": f"u{n}@example.org"}} for n in range(7)]
    await door.post("/v1/user/opt", people, basic)
    after = ""
    while after is not None:
        page = (await door.get(f"/api/users?limit=2{after and '&after=' + after}", admin)).body
        after = page["next"]
    (first,) = [row for row in await _entries(door) if row.action == "user.list"]
    assert (first.actor.startswith("token:"), first.address) == (True, "127.0.0.1")
    assert (first.times, first.after) == (1, '{"given":2}')
    await door.system.shared(Listings).flush(now=True)
    rest = [row for row in await _entries(door) if row.action == "user.list"][1]
    assert (rest.actor, rest.times, rest.after) == (first.actor, 3, '{"given":5}')
    await door.get("/api/users?search=nobody-of-this-name", admin)
    await door.system.shared(Listings).flush(now=True)
    assert len([row for row in await _entries(door) if row.action == "user.list"]) == 2


async def test_every_list_that_gives_out_people_is_noted(shared: Door) -> None:
    """Every route of `/api` whose answer is a list with an address or userid in it."""
    world: World = await make(shared)
    admin, address = await shared.api_token(), f"a{world.owner.key}@private.example"
    mine, values = f"/api/channels/{world.owner.key}", world.values
    await shared.post(f"{mine}/suppressions", {"addresses": [address]}, admin)
    listed = f"{mine}/lists/{values['list_id']}/entries"
    await shared.post(listed, {"entries": [{"kind": "address", "value": address}]}, admin)
    found: set[str] = set()
    for operation in [one for one in OPERATIONS if one[0] == "GET"]:
        before = len(await _entries(shared))
        answer = await world.ask(operation, admin)
        gives = answer.raw.startswith(b'{"items":') and (
            address.encode() in answer.raw or b'"userid":' in answer.raw
        )
        new = {row.action for row in (await _entries(shared))[before:]}
        assert bool(new & LISTINGS) == gives, operation[1]
        found |= new & LISTINGS
    assert found == LISTINGS


async def test_lists_cannot_fill_the_log(door: Door) -> None:
    before = await _count(door)
    with audit_log.acting("token:1:ci", "192.0.2.1") as by:
        by.given = 3
        for number in range(2 * audit_gate.MOST_LISTINGS):
            await door.system.shared(Listings).count(by, "delivery.list", f"m{number}")
        await door.system.shared(Listings).flush(now=True)
    rows = (await _entries(door))[before:]
    assert len(rows) <= audit_gate.MOST_LISTINGS + 2
    assert sum(row.times for row in rows) == 2 * audit_gate.MOST_LISTINGS
    assert {row.actor for row in rows} == {"token:1:ci"}
