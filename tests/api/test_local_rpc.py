"""The local door: the verbs of `ums.core.verbs`, for whoever can read the token's file."""

import json
from typing import Any, get_type_hints

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.doors import Answer, Basic, Door, OneChannel
from ums.core.verbs import VERBS


async def verb(door: Door, name: str, params: object, token: str | None = None) -> Answer:
    bearer = f"Bearer {door.token if token is None else token}"
    return await door.post(f"/local/{name}", params, Authorization=bearer)


async def test_without_the_token_nothing_is_done(
    shared: Door, caller: OneChannel, master: Basic
) -> None:
    headers = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"bearer {shared.token}"},
        {"Authorization": f"Bearer {shared.token[:-1]}"},
        {"Authorization": f"Bearer {shared.token}x"},
        {"Authorization": f"Basic {shared.token}"},
        {"Authorization": shared.token},
        {"Authorization": caller.header},
        {"Authorization": OneChannel(*master).header},
        {"Authorization": OneChannel(caller.key, shared.token).header},
    ]
    for each in headers:
        for name in ("channel.create", "channel.list", "no.such"):
            answer = await shared.post(f"/local/{name}", {"name": "stolen"}, **each)
            assert answer.told == (401, 4005, "local_token"), each
    names = [one["name"] for one in json.loads((await verb(shared, "channel.list", {})).raw)]
    assert "stolen" not in names


async def test_the_token_opens_no_other_door(shared: Door) -> None:
    bearer = {"Authorization": f"Bearer {shared.token}"}
    for path in ("/v1/sent", "/v1/user/opt", "/v1/user/delete"):
        assert (await shared.post(path, [], **bearer)).told == (401, 4005, "no_credentials")
    assert (await shared.get("/api/messages", headers=bearer)).status == 401


async def test_each_start_has_its_own_token(door: Door, shared: Door) -> None:
    assert door.token != shared.token
    assert len(door.token) >= 40
    assert (await verb(door, "channel.list", {}, shared.token)).status == 401


async def test_a_verb_tells_its_steps_as_they_go(door: Door) -> None:
    sender = (await door.channel()).sender
    answer = await verb(door, "sender.test/steps", {"code": sender})
    steps = [json.loads(line) for line in answer.raw.splitlines()]
    assert [step["ok"] for step in steps] == [True] * len(steps)
    assert len(steps) > 3
    assert (await verb(door, "sender.test/steps", {"code": "none"})).status == 404
    assert (await verb(door, "channel.list/steps", {})).told == (400, 4004, "verb_unknown")
    assert (await verb(door, "sender.test/steps", {}, "wrong")).status == 401


async def test_from_nothing_to_a_delivered_mail(door: Door) -> None:
    made = (await verb(door, "channel.create", {"name": "Shop", "key": "shop"})).body
    assert (made["channelkey"], made["open"], made["senders"]) == ("shop", True, [])
    assert len(made["mastersecret"]) == 24
    given = {
        "code": "mail",
        "name": "Mail",
        "host": "127.0.0.1",
        "port": door.smtp.port,
        "encryption": "none",
        "from_address": "a@example.org",
    }
    refused = await verb(door, "sender.create", given)
    assert refused.told == (400, 4004, "port_approval")
    assert (await verb(door, "sender.create", {**given, "allow_port": True})).status == 200
    shown = (await verb(door, "sender.authorise", {"code": "mail", "channel": "shop"})).body
    assert shown["channels"] == ["shop"]
    body = {
        "aud_email": [{"data": ["b@example.org"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
    }
    sent = (await verb(door, "message.send", {"channel": "shop", "body": body})).body
    await door.done(sent["msgid"], OneChannel("shop", made["mastersecret"]))
    report = (await verb(door, "message.show", {"msgid": sent["msgid"], "deliveries": True})).body
    assert (report["counts"], report["deliveries"][0]["address"]) == ({"sent": 1}, "b@example.org")
    rotated = (await verb(door, "channel.rotate", {"key": "shop", "overlap_hours": 0})).body
    assert (await door.get("/api/messages", ("shop", made["mastersecret"]))).status == 401
    assert (await door.get("/api/messages", ("shop", rotated["mastersecret"]))).status == 200
    assert (await verb(door, "channel.close", {"key": "shop"})).body["open"] is False
    assert (await verb(door, "channel.open", {"key": "shop"})).body["open"] is True
    key = (await verb(door, "accesskey.create", {})).body
    pair = (key["accesskey"], key["mastersecret"])
    assert (await door.post("/v1/user/delete", ["nobody"], pair)).status == 200


@pytest.mark.parametrize("name", ["no.such", "channel", "channel.create.x", "x" * 500, "__"])
async def test_an_unknown_verb(shared: Door, name: str) -> None:
    assert (await verb(shared, name, {})).told == (400, 4004, "verb_unknown")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("channel.create", {}),
        ("channel.create", {"name": 5}),
        ("channel.create", []),
        ("channel.create", None),
        ("channel.rotate", {"key": "x", "overlap_hours": "1"}),
        ("channel.rotate", {"key": "x", "overlap_hours": -1}),
        ("channel.rotate", {"key": "x", "overlap_hours": 1e300}),
        ("channel.rotate", {"key": "x", "overlap_hours": 1e9}),
        ("sender.create", {"code": "x"}),
        ("import.show", {"id": "1"}),
        ("import.show", {"id": 2**63}),
        ("import.show", {"id": -(2**70)}),
        ("message.show", {"msgid": None}),
        ("message.send", {"channel": "x", "body": []}),
    ],
)
async def test_params_that_do_not_fit(shared: Door, name: str, params: Any) -> None:
    assert (await verb(shared, name, params)).told == (400, 4004, "misfit")


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["\x00", "all", "\u2028", "a@example.org", "x" * 300]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)
# Those that read files of the machine, and those that take a tenth of a second, are left out.
SLOW = {"operator.create", "operator.password"}
CALLS = st.sampled_from(sorted(VERBS.keys() - {"import.open", "import.rejects"} - SLOW))
FITTING: dict[type, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-(2**70), 2**70) | st.integers(-2, 600),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A verb with a value for each of its fields, mostly of the right type."""
    name = draw(CALLS)
    hints = get_type_hints(VERBS[name].params)
    fits = {field: FITTING.get(hint, TEXTS | VALUES) for field, hint in hints.items()}
    return name, {field: draw(fit | fit | VALUES) for field, fit in fits.items()}


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*HealthCheck.__members__.values()],
)
@given(call=calls())
async def test_no_params_break_it(shared: Door, call: tuple[str, dict[str, Any]]) -> None:
    answer = await verb(shared, *call)
    assert answer.status < 500, answer


async def test_strangers_behind_a_proxy_meet_no_such_door(shared: Door) -> None:
    """Not even with the token: the command itself never comes through a proxy."""
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "X-Forwarded-Proto"):
        headers = {"Authorization": f"Bearer {shared.token}", header: "127.0.0.1"}
        answer = await shared.post("/local/channel.list", {}, **headers)
        assert answer.told == (404, 4004, "not_found"), header


@pytest.mark.parametrize(
    ("client", "server", "status"),
    [
        ("127.0.0.1", "127.0.0.1", 200),
        ("::1", "::1", 200),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", 200),
        ("192.0.2.1", "192.0.2.1", 200),  # of this machine, by the address that it listens on
        ("192.0.2.7", "192.0.2.1", 404),
        ("192.0.2.7", "127.0.0.1", 404),
    ],
)
async def test_other_machines_meet_no_such_door(
    shared: Door, client: str, server: str, status: int
) -> None:
    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        named: dict[str, Any] = {"client": (client, 1), "server": (server, 80)}
        known: Any = {**scope, **named, "state": {"proxied": False}}
        await shared.app(known, receive, send)

    transport = httpx.ASGITransport(elsewhere)
    async with httpx.AsyncClient(transport=transport, base_url="http://ums") as program:
        headers = {"Authorization": f"Bearer {shared.token}"}
        answer = await program.post("/local/channel.list", json={}, headers=headers)
    assert answer.status_code == status
