"""Webhook senders by the management API: made, changed, given a new secret, tested."""

import pytest_asyncio

from support.doors import Door, Token
from support.flow import with_settings
from support.receiver import receiving

PATH = "/api/webhook-senders"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


def hook(code: str, **more: object) -> dict[str, object]:
    return {"code": code, "name": code, "url": "https://hooks.example.com/x", **more}


async def test_the_signing_secret_is_told_once(shared: Door, admin: Token) -> None:
    made = await shared.post(PATH, hook("once"), admin)
    assert made.status == 201
    assert made.body["signing_secret"].startswith("whsec_")
    shown = await shared.get("/api/senders/once", admin)
    assert "signing_secret" not in shown.body
    assert shown.body["url"] == "https://hooks.example.com/x"
    renewed = await shared.post(f"{PATH}/once/rotate", {}, admin)
    assert renewed.status == 200
    assert renewed.body["signing_secret"] != made.body["signing_secret"]


async def test_a_change_keeps_the_rest(shared: Door, admin: Token) -> None:
    await shared.post(PATH, hook("kept", password="token", deduplicates=True), admin)
    changed = await shared.send("PATCH", f"{PATH}/kept", {"name": "New", "open": False}, admin)
    told = {name: changed.body[name] for name in ("name", "open", "authentication", "deduplicates")}
    assert told == {"name": "New", "open": False, "authentication": "bearer", "deduplicates": True}
    moved = await shared.send("PATCH", f"{PATH}/kept", {"url": "https://b.example.com"}, admin)
    assert moved.told == (400, 4004, "webhook_password_again")


async def test_each_type_is_changed_by_its_own_way(shared: Door, admin: Token) -> None:
    await shared.post(PATH, hook("typed"), admin)
    wrong = await shared.send("PATCH", "/api/senders/typed", {"host": "h"}, admin)
    assert wrong.told == (400, 4004, "sender_type_other")
    fine = await shared.send("PATCH", "/api/senders/typed", {"urgent_reserve_percent": 5}, admin)
    assert fine.body["urgent_reserve_percent"] == 5


async def test_a_test_tells_what_the_receiver_answered(shared: Door, admin: Token) -> None:
    with_settings(shared.system, callback_allow="127.0.0.1/32")
    async with receiving("", "") as receiver:
        receiver.any_json, receiver.script = True, [None, 403]
        await shared.post(PATH, hook("tested", url=receiver.url), admin)
        good = await shared.post("/api/senders/tested/test", {}, admin)
        bad = await shared.post("/api/senders/tested/test", {}, admin)
    assert [step["stage"] for step in good.body["steps"]] == ["connect", "data"]
    assert good.body["ok"] is True
    assert (bad.body["ok"], bad.body["reason"]) == (False, "webhook_credentials")
