"""Nobody grants, by whatever road, what it has not itself, and nobody changes who stands above."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from support.doors import Answer, Door, Token, password_is
from ums import clock
from ums.core.identity import api_tokens, grants, invitations, operators
from ums.core.identity.api_tokens import NewToken
from ums.core.identity.grants import Grantor, Rights
from ums.core.identity.operators import Role
from ums.core.identity.scopes import OF_CHANNEL, OF_ROLE, SCOPES
from ums.core.tables import operators as rows
from ums.core.tables import tokens as token_rows
from ums.errors import Conflict, Forbidden, NotFound, UmsError

PASSWORD = "seven grey herons"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


async def make(door: Door, name: str, role: Role, who: Token) -> Answer:
    given = {"name": name, "password": PASSWORD, "role": role}
    return await door.post("/api/operators", given, who)


# -- operators --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["administrator", "operator", "viewer"])
async def test_to_write_operators_alone_makes_nobody(shared: Door, role: Role) -> None:
    maker = await shared.api_token("operators:write")
    answer = await make(shared, f"made {role}", role, maker)
    assert answer.told == (403, 4005, "scope_beyond")
    with pytest.raises(NotFound):
        await operators.show(shared.system, f"made {role}")


async def test_who_has_the_rights_of_a_role_makes_it_and_none_above(shared: Door) -> None:
    maker = await shared.api_token("operators:write", *OF_ROLE["operator"])
    assert (await make(shared, "one viewer", "viewer", maker)).status == 201
    assert (await make(shared, "one operator", "operator", maker)).status == 201
    assert (await make(shared, "one above", "administrator", maker)).status == 403
    path = "/api/operators/one viewer"
    risen = await shared.send("PATCH", path, {"role": "administrator"}, maker)
    assert risen.told == (403, 4005, "scope_beyond")
    assert (await shared.get(path, maker)).body["role"] == "viewer"


CHANGES: list[dict[str, Any]] = [
    {"password": "two brown herons"},
    {"disabled": True},
    {"role": "viewer"},
]


@pytest.mark.parametrize("change", CHANGES)
async def test_who_stands_above_is_not_changed(
    shared: Door, admin: Token, change: dict[str, Any]
) -> None:
    name = f"boss {next(iter(change))}"
    await make(shared, name, "administrator", admin)
    most = SCOPES - {"admin"}
    for scopes in ({"operators:write"}, most):
        maker = await shared.api_token(*scopes)
        answer = await shared.send("PATCH", f"/api/operators/{name}", change, maker)
        assert answer.told == (403, 4005, "stands_above")
    assert await password_is(shared.system, name, PASSWORD)
    assert (await operators.show(shared.system, name)).role == "administrator"


# -- every road, by what it asks of the caller ------------------------------------------------


def bound(*channels: int) -> Grantor:
    return Grantor(Rights(frozenset({"admin"}), frozenset(channels)))


async def ids(door: Door, count: int) -> list[int]:
    keys = [(await door.channel(sender=False)).key for _ in range(count)]
    door.system.directory.forget()
    now = await door.system.directory.now()
    return [now.channels[key].id for key in keys]


async def test_who_is_bound_grants_no_other_channels(shared: Door) -> None:
    system = shared.system
    mine, other = await ids(shared, 2)
    keys = (await system.directory.now()).channel_ids
    with grants.asking(bound(mine)):
        for channels in (None, [other], [mine, other]):
            with pytest.raises(Forbidden):
                await operators.create(system, "beyond", PASSWORD, "viewer", channels=channels)
            with pytest.raises(Forbidden):
                await invitations.create(system, "viewer", channels, actor="x")
            named = None if channels is None else [keys[id].key for id in channels]
            with pytest.raises(Forbidden):
                await api_tokens.create(system, NewToken("t", ["stats:read"], named))
        await operators.create(system, "within", PASSWORD, "viewer", channels=[mine])
        for wider in (None, [mine, other]):
            with pytest.raises(Forbidden):
                await operators.change(system, "within", channels=wider)
        await api_tokens.create(system, NewToken("t", ["stats:read"], [keys[mine].key]))
    found = await operators.channels_of(system, ["within", "beyond"])
    assert found == {"within": [mine]}
    with grants.asking(bound(other)), pytest.raises(Forbidden):
        await operators.set_password(system, "within", "two brown herons")


async def test_a_secret_is_shown_to_nobody_who_has_less_than_its_channel(
    shared: Door, admin: Token
) -> None:
    few = await shared.api_token("channels:write")
    answer = await shared.post("/api/channels", {"name": "taken over"}, few)
    assert answer.told == (403, 4005, "scope_beyond")
    channel = await shared.channel(sender=False)
    path = f"/api/channels/{channel.key}/rotate"
    assert (await shared.post(path, {}, few)).told == (403, 4005, "scope_beyond")
    assert (await shared.get("/api/channels", channel)).status == 200
    enough = await shared.api_token("channels:write", *OF_CHANNEL, channels=[channel.key])
    assert (await shared.post(path, {}, enough)).status == 200


async def test_a_token_of_more_rights_is_not_revoked(shared: Door, admin: Token) -> None:
    made = await shared.post("/api/tokens", {"name": "high", "scopes": ["admin"]}, admin)
    low = await shared.api_token("tokens:write")
    path = f"/api/tokens/{made.body['id']}/revoke"
    assert (await shared.post(path, b"", low)).told == (403, 4005, "stands_above")
    assert (await shared.get("/api/channels", made.body["token"])).status == 200


async def test_a_door_that_says_nothing_grants_nothing(shared: Door) -> None:
    with grants.asking(grants.NOBODY):
        with pytest.raises(Forbidden):
            await operators.create(shared.system, "nobody's", PASSWORD, "viewer")
        with pytest.raises(Forbidden):
            await api_tokens.create(shared.system, NewToken("t", ["stats:read"]))


# -- tokens and who made them -----------------------------------------------------------------


async def child(door: Door, parent: Token, *scopes: str, **more: object) -> dict[str, Any]:
    given = {"name": "child", "scopes": list(scopes), **more}
    made = await door.post("/api/tokens", given, parent)
    assert made.status == 201, made.raw
    return made.body


async def good(door: Door, token: Token) -> bool:
    return (await door.get("/api/channels", token)).status == 200


async def settle(door: Door, id: int, **values: object) -> None:
    async with door.system.database.write() as tx:
        await tx.run(update(token_rows).where(token_rows.c.id == id).values(**values))


async def test_a_token_ends_with_any_above_it(shared: Door, admin: Token) -> None:
    chain = [await child(shared, admin, "admin")]
    for _ in range(3):
        chain.append(await child(shared, chain[-1]["token"], "admin"))
    assert all([await good(shared, one["token"]) for one in chain])
    assert [one["parent"] for one in chain[1:]] == [one["id"] for one in chain[:-1]]
    async with shared.system.database.read() as tx:
        stored = await tx.value(
            select(token_rows.c.expires_at).where(token_rows.c.id == chain[1]["id"])
        )
    assert stored is None
    for values in ({"expires_at": clock.now() - 1}, {"revoked_at": clock.now()}):
        await settle(shared, chain[1]["id"], **values)
        assert [await good(shared, one["token"]) for one in chain] == [True, False, False, False]
        await settle(shared, chain[1]["id"], expires_at=None, revoked_at=None)
    assert await good(shared, chain[3]["token"])
    revoked = await shared.post(f"/api/tokens/{chain[1]['id']}/revoke", b"", admin)
    assert revoked.status == 200
    shown = [(await shared.get(f"/api/tokens/{one['id']}", admin)).body for one in chain]
    assert [one["revoked_at"] is not None for one in shown] == [False, True, True, True]


async def test_a_token_ends_no_later_than_its_parent(shared: Door, admin: Token) -> None:
    until = "2999-01-01T00:00:00.000Z"
    parent = await child(shared, admin, "admin", expires_at=until)
    for given in ({}, {"expires_at": "3000-01-01T00:00:00Z"}):
        made = await child(shared, parent["token"], "admin", **given)
        assert made["expires_at"] == until
    sooner = await child(shared, parent["token"], "admin", expires_at="2998-01-01T00:00:00Z")
    assert sooner["expires_at"] == "2998-01-01T00:00:00.000Z"


async def test_a_token_has_no_more_rights_than_its_parent_has_now(
    shared: Door, admin: Token
) -> None:
    parent = await child(shared, admin, "admin")
    made = await child(shared, parent["token"], "admin")
    await settle(shared, parent["id"], scopes='["stats:read"]')
    assert (await shared.get("/api/stats", made["token"])).status == 200
    assert (await shared.get("/api/users", made["token"])).status == 403


async def test_tokens_cannot_be_made_with_each_other_for_ever(shared: Door, admin: Token) -> None:
    last = await child(shared, admin, "admin")
    statuses = []
    for _ in range(8):
        given = {"name": "deep", "scopes": ["admin"]}
        made = await shared.post("/api/tokens", given, last["token"])
        statuses.append(made.status)
        last = made.body if made.status == 201 else last
    assert statuses == [201] * 6 + [409] * 2
    assert await good(shared, last["token"])


async def of_operator(door: Door, name: str) -> Grantor:
    async with door.system.database.read() as tx:
        row = await tx.first(select(rows).where(rows.c.name == name))
    assert row is not None
    return Grantor(operators.rights_of(row), operator_id=row.id)


async def test_a_token_is_good_while_its_operator_is(shared: Door) -> None:
    system, name = shared.system, "maker of tokens"
    await operators.create(system, name, PASSWORD)
    with grants.asking(await of_operator(shared, name)):
        made = await api_tokens.create(system, NewToken("mine", ["admin"]))
    token = str(made.token)
    await operators.create(system, "another boss", PASSWORD)
    assert (await shared.get("/api/tokens", token)).status == 200
    await operators.change(system, name, role="viewer")
    assert (await shared.get("/api/tokens", token)).status == 403
    assert (await shared.get("/api/users", token)).status == 200
    await operators.change(system, name, disabled=True)
    assert (await shared.get("/api/users", token)).status == 401


# -- invitations ------------------------------------------------------------------------------


async def test_many_accept_at_once_and_one_becomes_an_operator(shared: Door) -> None:
    system = shared.system
    (channel,) = await ids(shared, 1)
    token = await invitations.create(system, "operator", [channel], actor="operator:x")
    names = [f"racer {n}{'abcdefghijkl'[n]}" for n in range(10)]

    async def accept(name: str) -> bool:
        try:
            await invitations.accept(system, token, name, PASSWORD)
        except NotFound:
            return False
        return True

    came = await asyncio.gather(*[accept(name) for name in names])
    assert sum(came) == 1
    winner = names[came.index(True)]
    assert await operators.channels_of(system, names) == {winner: [channel]}


async def test_what_is_refused_leaves_the_invitation_as_it_was(shared: Door) -> None:
    system = shared.system
    await operators.create(system, "Taken", PASSWORD)
    token = await invitations.create(system, "viewer", None, actor="operator:x")
    errors: list[UmsError] = []
    for name, password in (("taken", PASSWORD), ("free", "short"), ("free", "password1234")):
        with pytest.raises(UmsError) as caught:
            await invitations.accept(system, token, name, password)
        errors.append(caught.value)
    assert isinstance(errors[0], Conflict)
    assert [one.reason for one in errors[1:]] == ["short_password", "common_password"]
    await invitations.accept(system, token, "free", PASSWORD)
    with pytest.raises(NotFound):
        await invitations.accept(system, token, "second", PASSWORD)


@pytest.mark.parametrize("change", [{"role": "operator"}, {"disabled": True}])
async def test_an_invitation_is_worth_what_its_maker_could_give(
    shared: Door, change: dict[str, Any]
) -> None:
    system, name = shared.system, f"inviter {next(iter(change))}"
    await operators.create(system, name, PASSWORD)
    await operators.create(system, f"chief {next(iter(change))}", PASSWORD)
    with grants.asking(await of_operator(shared, name)):
        token = await invitations.create(system, "administrator", None, actor="x")
    await operators.change(system, name, **change)
    with pytest.raises(NotFound):
        await invitations.accept(system, token, "too late", PASSWORD)


async def test_names_that_look_alike_are_one(shared: Door, admin: Token) -> None:
    await make(shared, "Paul", "viewer", admin)
    for name in ("paul", "PAUL", "Раul", "paui", "P aul"):
        answer = await make(shared, name, "viewer", admin)
        assert answer.told == (409, 4004, "name_taken"), name
    for name in (" Paul", "Paul ", "\u3000Paul"):
        assert (await make(shared, name, "viewer", admin)).told == (400, 4004, "bad_value"), name
    like = {"name": "Maria.Gonzales", "password": "maria.gonzales1", "role": "viewer"}
    assert (await shared.post("/api/operators", like, admin)).told[2] == "password_like_name"


async def test_settings_are_the_administrators_own(shared: Door) -> None:
    """A setting may stand for any right: which ports are free, how long the audit log is kept."""
    token = await shared.api_token("operators:write")
    for change in ({"audit_retention_days": 1}, {"sender_ports": "18725"}):
        refused = await shared.send("PATCH", "/api/settings", change, token)
        assert refused.told == (403, 4005, "scope_missing"), refused.raw
    admin = await shared.api_token()
    assert (
        await shared.send("PATCH", "/api/settings", {"audit_retention_days": 0}, admin)
    ).status == 200


async def test_rules_that_bind_a_channel_are_not_lifted_by_its_own_people(shared: Door) -> None:
    channel = await shared.channel()
    path = f"/api/channels/{channel.key}/rules"
    bound = await shared.api_token("channels:write", "users:write", channels=[channel.key])
    sending = await shared.api_token("channels:write", "messages:send")
    for token in (bound, sending):
        for change in (
            {"bound_replace_shared": True},
            {"key_replaces_shared": False},
            {"approval": True},
            {"approval_by_hand": True},
            {"approval_from": 5},
        ):
            refused = await shared.send("PATCH", path, change, token)
            assert refused.told == (403, 4005, "scope_beyond"), refused.raw
        assert (await shared.send("PATCH", path, {"zone": "Asia/Shanghai"}, token)).status == 200
    admin = await shared.api_token()
    assert (await shared.send("PATCH", path, {"approval": True}, admin)).status == 200
    refused = await shared.send("PATCH", path, {"approval": False}, sending)
    assert refused.told == (403, 4005, "scope_beyond")
