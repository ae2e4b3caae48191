"""Idempotency-Key and ETags of the management API."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from support.doors import Answer, Door, Token
from ums import clock
from ums.core.channels import channels
from ums.core.common import idempotency
from ums.core.context.app_context import AppContext
from ums.core.tables import idempotent_responses as rows


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


async def names(door: Door) -> list[str]:
    return [one.name for one in await channels.list_channels(door.system)]


async def stored(system: AppContext) -> list[Any]:
    async with system.database.read() as tx:
        return list(await tx.rows(select(rows)))


async def test_the_same_request_is_done_once(shared: Door, admin: Token) -> None:
    body = {"name": "once"}
    first = await shared.post("/api/channels", body, admin, Idempotency_Key="k1")
    again = await shared.post("/api/channels", body, admin, Idempotency_Key="k1")
    assert (first.status, first.raw) == (again.status, again.raw)
    assert first.body["mastersecret"]
    assert first.headers["etag"] == again.headers["etag"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (
        None,
        "true",
    )
    assert (await names(shared)).count("once") == 1


async def test_a_kept_answer_is_sealed(shared: Door, admin: Token) -> None:
    made = await shared.post(
        "/api/tokens", {"name": "t", "scopes": ["stats:read"]}, admin, Idempotency_Key="k2"
    )
    again = await shared.post(
        "/api/tokens", {"name": "t", "scopes": ["stats:read"]}, admin, Idempotency_Key="k2"
    )
    assert made.body["token"] == again.body["token"]
    assert made.body["token"] not in repr(await stored(shared.system))


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/channels", {"name": "another"}), ("/api/operators", {"name": "first of k3"})],
)
async def test_another_request_with_the_key_is_refused(
    shared: Door, admin: Token, path: str, body: object
) -> None:
    key = f"k3{path}"
    first = await shared.post(
        "/api/channels", {"name": f"first {path}"}, admin, Idempotency_Key=key
    )
    assert first.status == 201
    other = await shared.post(path, body, admin, Idempotency_Key=key)
    assert other.told == (422, 4004, "idempotency_reused")
    assert "another" not in await names(shared)


async def test_another_query_with_the_key_is_another_request(shared: Door, admin: Token) -> None:
    async def ask(query: str) -> Answer:
        body = {"conditions": {"tag": {"any": ["vip"]}}}
        path = f"/api/segments/sample{query}"
        return await shared.post(path, body, admin, Idempotency_Key="k3query")

    first = await ask("?limit=2&after=1")
    for same in ("?after=1&limit=2", "?limit=%32&after=%31"):
        again = await ask(same)
        assert (again.raw, again.headers["idempotency-replayed"]) == (first.raw, "true"), same
    for other in ("", "?limit=2", "?limit=3&after=1", "?limit=2&after=2"):
        assert (await ask(other)).told == (422, 4004, "idempotency_reused"), other


async def test_a_key_is_its_callers_own(shared: Door, admin: Token) -> None:
    other = await shared.api_token()
    for number, who in enumerate((admin, other)):
        made = await shared.post(
            "/api/channels", {"name": f"own {number}"}, who, Idempotency_Key="k4"
        )
        assert made.status == 201


async def test_what_failed_did_nothing_and_may_be_tried_again(shared: Door, admin: Token) -> None:
    await channels.create(shared.system, "taken")
    refused = await shared.post("/api/channels", {"name": "taken"}, admin, Idempotency_Key="k5")
    assert refused.told == (409, 4004, "name_taken")
    made = await shared.post("/api/channels", {"name": "not taken"}, admin, Idempotency_Key="k5")
    assert made.status == 201


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
async def test_what_is_no_key(shared: Door, admin: Token, key: str) -> None:
    headers = {"Idempotency-Key": key.encode(), "Content-Type": b"application/json"}
    answer = await shared.ask(
        "POST",
        "/api/channels",
        admin,
        content=b'{"name": "x"}',
        headers=headers,  # type: ignore[arg-type]
    )
    assert answer.told == (400, 4004, "idempotency_key")


async def test_while_the_first_is_answered_others_wait(
    shared: Door, admin: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    original = channels.create

    async def slowly(*given: Any, **more: Any) -> Any:
        begun.set()
        await go.wait()
        return await original(*given, **more)

    monkeypatch.setattr(channels, "create", slowly)
    body = {"name": "slow"}
    first = asyncio.create_task(shared.post("/api/channels", body, admin, Idempotency_Key="k6"))
    await begun.wait()
    second = await shared.post("/api/channels", body, admin, Idempotency_Key="k6")
    assert second.told == (409, 4004, "still_running")
    assert second.headers["retry-after"] == "1"
    go.set()
    assert (await first).status == 201
    third = await shared.post("/api/channels", body, admin, Idempotency_Key="k6")
    assert (third.status, third.raw) == (201, (await first).raw)


async def test_many_at_once_are_done_once(shared: Door, admin: Token) -> None:
    async def ask() -> Answer:
        return await shared.post("/api/channels", {"name": "many"}, admin, Idempotency_Key="k7")

    found = await asyncio.gather(*(ask() for _ in range(20)))
    assert {answer.status for answer in found} <= {201, 409}
    assert len({answer.raw for answer in found if answer.status == 201}) == 1
    assert (await names(shared)).count("many") == 1


async def test_an_upload_is_known_again_by_its_file(shared: Door, admin: Token) -> None:
    """Clients draw another boundary for each try."""

    async def upload(content: bytes, boundary: str) -> Answer:
        head = {
            "Idempotency-Key": "k8",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }
        body = (
            f"--{boundary}\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n"
        ).encode()
        body += content + f"\r\n--{boundary}--\r\n".encode()
        return await shared.ask("POST", "/api/imports", admin, content=body, headers=head)

    table = b"userid,email\n" + b"".join(b"u%d,a@example.org\n" % n for n in range(20_000))
    first = await upload(table, "one")
    assert first.status == 201
    assert (await upload(table, "a-much-longer-other")).raw == first.raw
    assert (await upload(table + b"x,y\n", "one")).told == (422, 4004, "idempotency_reused")


async def test_a_key_is_free_after_a_day(shared: Door, admin: Token) -> None:
    async def ask(name: str) -> Answer:
        return await shared.post("/api/channels", {"name": name}, admin, Idempotency_Key="k9")

    assert (await ask("day one")).status == 201
    async with shared.system.database.write() as tx:
        old = clock.now() - clock.DAY - 1
        await tx.run(update(rows).where(rows.c.key == "k9").values(created_at=old))
    assert (await ask("day two")).status == 201
    await idempotency.forget(shared.system.database)
    assert "k9" in {row.key for row in await stored(shared.system)}


async def test_a_request_that_died_with_its_process_frees_the_key(
    shared: Door, admin: Token
) -> None:
    place = idempotency.RequestKey("token:0:dead", "k")
    assert await idempotency.claim(shared.system.database, shared.system.seal, place) is None
    await idempotency.abandon(shared.system.database)
    if not shared.system.settings.is_sqlite:
        # Another process may still be at it: there the time has to pass.
        async with shared.system.database.write() as tx:
            await tx.run(update(rows).where(rows.c.key == "k").values(until=clock.now() - 1))
    assert await idempotency.claim(shared.system.database, shared.system.seal, place) is None


# -- ETags ------------------------------------------------------------------------------------


async def test_a_thing_that_did_not_change_is_not_sent_again(shared: Door, admin: Token) -> None:
    channel = await shared.channel()
    path = f"/api/channels/{channel.key}"
    first = await shared.get(path, admin)
    tag = first.headers["etag"]
    for header in (tag, f'"other", W/{tag}', "*"):
        again = await shared.get(path, admin, headers={"If-None-Match": header})
        assert (again.status, again.raw, again.headers["etag"]) == (304, b"", tag)
    await shared.send("PATCH", path, {"name": f"new {channel.key[:8]}"}, admin)
    changed = await shared.get(path, admin, headers={"If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["etag"] != tag


async def test_an_edit_runs_over_nobody_elses(shared: Door, admin: Token) -> None:
    channel = await shared.channel()
    operator = {"name": f"op {channel.key[:8]}", "password": "seven grey herons", "role": "viewer"}
    await shared.post("/api/operators", operator, admin)
    await shared.send("PUT", f"/api/users/{channel.key}", {}, admin)
    edits: list[tuple[str, str, object]] = [
        ("PATCH", f"/api/channels/{channel.key}", {"open": False}),
        ("PATCH", f"/api/senders/{channel.sender}", {"from_name": "New"}),
        ("PATCH", f"/api/operators/{operator['name']}", {"role": "operator"}),
        ("PUT", f"/api/users/{channel.key}", {"tags": {"all": ["t"]}}),
        ("PATCH", f"/api/users/{channel.key}", {"set": {"tag": {"all": ["u"]}}}),
        ("DELETE", f"/api/users/{channel.key}", None),
    ]
    for method, path, body in edits:
        tag = (await shared.get(path, admin)).headers["etag"]
        for stale in ('"x"', f"W/{tag}"):
            refused = await shared.send(method, path, body, admin, If_Match=stale)
            assert refused.told == (412, 4004, "outdated"), path
        assert (await shared.get(path, admin)).headers["etag"] == tag
        done = await shared.send(method, path, body, admin, If_Match=f'"x", {tag}')
        assert done.status in {200, 204}, done
    gone = await shared.send("PUT", f"/api/users/{channel.key}", {}, admin, If_Match="*")
    assert gone.told == (412, 4004, "outdated")
    made = await shared.send("PUT", f"/api/users/{channel.key}", {}, admin, If_None_Match="*")
    assert made.status == 201
    there = await shared.send("PUT", f"/api/users/{channel.key}", {}, admin, If_None_Match="*")
    assert there.told == (412, 4004, "outdated")
