"""Who may what: every route, asked by every kind of caller, against `tests/permissions.tsv`.

The table has a row for each method and path:

    needs        the scope that a caller needs; or `open` (anybody), `any` (whoever is signed in),
                 `v1` (the keys of the UMS API), `local` (the command on the same machine)
    bound        whether somebody who is bound to channels gets in
    channel_key  whether a channel's own key gets in
    access_key   whether the access key gets in

A route without a row fails. After a route was added, write its row by hand; to see what the rows
of today would be, run `PYTHONPATH=src:tests python tests/api/test_permissions.py`.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute
from sqlalchemy import update

from support.doors import Basic, Door, OneChannel, Token, idle_application
from support.worlds import OPERATIONS, World, make
from ums.config import Settings
from ums.console.middleware import Door as ConsoleDoor
from ums.core.identity import operators, scopes
from ums.core.identity.scopes import SCOPES, holds
from ums.core.tables import operators as operator_rows

TABLE = Path(__file__).parents[1] / "permissions.tsv"
PASSWORD = "a long sentence for tests"
YES, NO, NONE = "yes", "no", "-"
# Asked for last, as they end what the others stand on.
LAST = ("/logout", "/account")
LINK = "/sandbox/enter/{token}"  # opens nothing to whoever has not the link itself


class Row(NamedTuple):
    method: str
    path: str
    needs: str
    bound: str
    channel_key: str
    access_key: str


def table() -> list[Row]:
    lines = TABLE.read_text("utf-8").splitlines()
    assert lines[0].split("\t") == list(Row._fields)
    return [Row(*line.split("\t")) for line in lines[1:]]


ROWS = table() if TABLE.exists() else []


def routes(app: Litestar) -> Iterator[tuple[str, str, str]]:
    """(method, path, what the route itself says it needs)."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if method in ("OPTIONS", "HEAD"):
                continue
            path = route.path_format
            if ConsoleDoor in handler.resolve_middleware() or path.startswith("/api/"):
                yield method, path, str(handler.opt.get("scope"))
            elif path.startswith(("/v1/", "/local/")):
                yield method, path, path.split("/")[1]
            else:
                yield method, path, "open"


def is_api(row: Row) -> bool:
    return row.path.startswith("/api/")


def is_page(row: Row) -> bool:
    return row.needs not in ("v1", "local") and not is_api(row) and row.path not in PUBLIC


PUBLIC = {"/", "/healthz", "/readyz", "/static/{file_path}"}
CHANNEL = {
    "callbacks:write",
    "channels:read",
    "lists:write",
    "materials:write",
    "messages:send",
    "messages:write",
    "segments:read",
    "stats:read",
    "strategies:write",
    "templates:write",
    "users:write",
}
VIEWER = {
    "callbacks:read",
    "channels:read",
    "lists:read",
    "materials:read",
    "messages:read",
    "segments:read",
    "senders:read",
    "stats:read",
    "strategies:read",
    "templates:read",
    "users:read",
}
OPERATOR = VIEWER | {
    "lists:write",
    "materials:write",
    "messages:approve",
    "messages:send",
    "messages:write",
    "segments:write",
    "templates:write",
    "users:write",
}
ROLES: dict[str, set[str]] = {
    "administrator": {"admin"},
    "operator": OPERATOR,
    "viewer": VIEWER,
}


async def test_roles_and_keys_hold_what_they_held() -> None:
    assert scopes.OF_CHANNEL == CHANNEL
    assert {"users:write"} == scopes.OF_ACCESS_KEY
    assert scopes.OF_ROLE == ROLES


async def test_every_route_has_its_row() -> None:
    told = {(row.method, row.path, row.needs) for row in ROWS}
    assert len(told) == len(ROWS)
    assert told == set(routes(idle_application()))


# -- asking --------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared: Door) -> World:
    return await make(shared)


class Api:
    """Asks routes of the management API with what fits them."""

    def __init__(self, door: Door, world: World) -> None:
        self._door, self._world = door, world
        self._operations = {(one[0], one[1]): one for one in OPERATIONS}

    async def ask(self, row: Row, who: OneChannel | Basic | Token | None) -> str:
        """ "" where the caller got in, else why it did not."""
        operation = self._operations.get((row.method, row.path))
        if operation is None:  # the schema and its pages
            answer = await self._door.ask(row.method, row.path, who)
        else:
            answer = await self._world.ask(operation, who)
        if answer.status == 401:
            return "401"
        return str(answer.body["reason"]) if answer.status == 403 else ""


@pytest.fixture
def api(shared: Door, world: World) -> Api:
    return Api(shared, world)


def api_rows() -> list[Row]:
    """What removes things last."""
    return sorted(filter(is_api, ROWS), key=lambda row: row.method == "DELETE")


@pytest.mark.slow
async def test_nobody_without_credentials_enters_the_api(api: Api) -> None:
    for row in api_rows():
        assert (await api.ask(row, None) == "401") == (row.needs != "open"), row


@pytest.mark.slow
async def test_each_scope_alone_opens_its_routes_and_no_other(shared: Door, api: Api) -> None:
    """All scopes that do not open a route are tried together: none adds to another's rights."""
    if not shared.system.settings.is_sqlite:
        return  # hundreds of requests that no database is asked about
    for needed in sorted({row.needs for row in api_rows()} - {"open"}):
        opening = [scope for scope in sorted(SCOPES) if holds([scope], needed)]
        others = await shared.api_token(*sorted(SCOPES - {*opening}))
        tokens = {scope: await shared.api_token(scope) for scope in opening}
        for row in api_rows():
            if row.needs != needed:
                continue
            assert await api.ask(row, others) == "scope_missing", row
            if row.method != "GET":
                continue  # what it does is other tests' matter; here it would change the world
            for scope, token in tokens.items():
                assert await api.ask(row, token) != "scope_missing", (scope, row)


async def test_scopes_add_nothing_to_each_other() -> None:
    for needed in SCOPES:
        others = sorted(scope for scope in SCOPES if not holds([scope], needed))
        assert not holds(others, needed), needed


@pytest.mark.slow
async def test_keys_enter_where_the_table_says(shared: Door, api: Api) -> None:
    # Not the world's own channel: others change its secret.
    channel = await shared.channel()
    for who, column in ((channel, "channel_key"), (await shared.access_key(), "access_key")):
        for row in api_rows():
            wanted = getattr(row, column)
            if wanted == YES and row.method != "GET":
                continue
            found = await api.ask(row, who)
            assert (found == "") == (wanted in (YES, NONE)), (column, row, found)


async def test_bound_callers_enter_where_the_table_says(
    shared: Door, api: Api, world: World
) -> None:
    token = await shared.api_token("admin", channels=[world.owner.key])
    for row in api_rows():
        if row.needs != "open":
            found = await api.ask(row, token)
            assert (found == "caller_bound") == (row.bound == NO), (row, found)


# -- the UMS API and the command's way in ----------------------------------------------------------


async def asked(shared: Door, row: Row, who: OneChannel | Basic | Token | None) -> int:
    path = re.sub(r"\{\w+\}", "none", row.path)
    return (await shared.ask(row.method, path, who, content=b"{}")).status


async def test_the_ums_api_is_for_keys(shared: Door) -> None:
    channel = await shared.channel()
    admin, access_key = await shared.api_token(), await shared.access_key()
    for row in ROWS:
        if row.needs != "v1":
            continue
        for stranger in (None, admin, ("none", "none"), (channel.key, "wrong")):
            found = await asked(shared, row, stranger)
            # A link to a material carries its own signature.
            refused = (401,) if row.channel_key != NONE else (403, 404)
            assert found in refused, (row, stranger)
        for who, wanted in ((channel, row.channel_key), (access_key, row.access_key)):
            found = await asked(shared, row, who)
            if wanted != NONE:
                assert (found in (401, 403)) == (wanted == NO), (row, who, found)


async def test_the_commands_way_in_is_for_its_token(shared: Door) -> None:
    strangers = (None, await shared.api_token(), await shared.access_key(), await shared.channel())
    for row in ROWS:
        if row.needs == "local":
            for who in strangers:
                assert await asked(shared, row, who) == 401, (row, who)
            assert await asked(shared, row, shared.token) not in (401, 403), row


async def test_a_link_that_was_not_given_out_opens_nothing(shared: Door) -> None:
    assert (await shared.get(LINK.format(token="x" * 43), None)).status == 403


async def test_open_routes_ask_for_nothing(shared: Door) -> None:
    for row in ROWS:
        if row.path in PUBLIC:
            assert await asked(shared, row, None) not in (401, 403), row


# -- the console -----------------------------------------------------------------------------------


@asynccontextmanager
async def signed_in(
    shared: Door, role: Any, channels: list[int] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    name = f"walk {role} {'bound' if channels else 'free'}"
    base = f"http://127.0.0.1:{shared.port}"
    headers = {"Origin": base, "Accept": "text/html"}
    await operators.create(shared.system, name, PASSWORD, role)
    if channels is not None:
        async with shared.system.database.write() as tx:
            mine = operator_rows.c.name == name
            values = {"channels": repr(channels)}
            await tx.run(update(operator_rows).where(mine).values(values))
    async with httpx.AsyncClient(
        base_url=base, headers=headers, timeout=60, trust_env=False
    ) as client:
        answer = await client.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


def page_rows() -> list[Row]:
    rows = [row for row in ROWS if is_page(row) and row.path not in ("/logout", LINK)]
    return sorted(rows, key=lambda row: (row.path.startswith(LAST), row.method == "POST"))


async def page(client: httpx.AsyncClient, row: Row, world: World) -> tuple[int, str]:
    """Status and what the page says; a stream is left as soon as it begins."""
    path = re.sub(r"\{(\w+)\}", lambda name: world.values.get(name[1], "1"), row.path)
    async with client.stream(row.method, path) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, ""
        return answer.status_code, (await answer.aread()).decode("utf-8", "replace")


async def test_nobody_who_is_not_signed_in_sees_a_page(shared: Door, world: World) -> None:
    base = f"http://127.0.0.1:{shared.port}"
    async with httpx.AsyncClient(
        base_url=base, headers={"Origin": base, "Accept": "text/html"}, trust_env=False
    ) as stranger:
        for row in page_rows():
            status, _ = await page(stranger, row, world)
            assert row.needs == "open" or status == 303, (row, status)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("bound", [False, True], ids=["free", "bound"])
async def test_roles_open_their_pages_and_no_other(
    shared: Door, world: World, role: str, bound: bool
) -> None:
    ids = [(await shared.system.directory.now()).channels[world.owner.key].id]
    async with signed_in(shared, role, ids if bound else None) as visitor:
        for row in page_rows():
            has = row.needs in ("open", "any") or holds(ROLES[role], row.needs)
            may = has and not (bound and row.bound == NO)
            if may and row.method == "POST":
                continue  # other tests do it
            status, _ = await page(visitor, row, world)
            assert (status == 403) == (not may), (role, bound, row, status)
            assert status < 500


# -- the rows of today -----------------------------------------------------------------------------


async def _draft(settings: Settings) -> None:
    from support.doors import open_door

    async with open_door(settings) as door:
        world = await make(door)
        api = Api(door, world)
        bound = await door.api_token("admin", channels=[world.owner.key])
        keys = await door.channel(), await door.access_key()
        ids = [(await door.system.directory.now()).channels[world.owner.key].id]
        found = [Row(*one, NONE, NONE, NONE) for one in sorted(routes(idle_application()))]
        print("\t".join(Row._fields))
        async with signed_in(door, "administrator", ids) as visitor:
            for row in sorted(found, key=lambda row: row.path.startswith(LAST)):
                print("\t".join(await _drafted(row, door, world, api, bound, keys, visitor)))


async def _drafted(
    row: Row,
    door: Door,
    world: World,
    api: Api,
    bound: Token,
    keys: tuple[OneChannel, Basic],
    visitor: httpx.AsyncClient,
) -> Row:
    def said(may: bool) -> str:
        return YES if may else NO

    if is_api(row) and row.needs != "open":
        given = [said(await api.ask(row, who) == "") for who in keys]
        free = said(await api.ask(row, bound) != "caller_bound")
        return row._replace(bound=free, channel_key=given[0], access_key=given[1])
    if row.needs == "v1" and "{token}" not in row.path:
        given = [said(await asked(door, row, who) not in (401, 403)) for who in keys]
        return row._replace(channel_key=given[0], access_key=given[1])
    if is_page(row) and row.needs not in ("open", "any"):
        status, _ = await page(visitor, row, world)
        return row._replace(bound=said(status != 403))
    return row


if __name__ == "__main__":
    import asyncio
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_draft(Settings(data_dir=Path(folder), demo=False, log_level="error")))
