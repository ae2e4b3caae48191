"""The page of strategies."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door
from ums.core.identity import operators


async def test_strategies_are_made_and_switched(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    base = f"/channels/{channel.key}/strategies"
    shown = await followed(visitor, await visitor.post(base, data={"name": "By email"}))
    (id,) = re.findall(rf"{base}/(\d+)", shown)
    assert "usable" in shown
    closed = await visitor.post(f"{base}/{id}", data={"doing": "close"})
    assert "switched off" in await followed(visitor, closed)
    gone = await visitor.post(f"{base}/{id}", data={"doing": "delete"})
    assert "By email" not in await followed(visitor, gone)
    assert (await visitor.post(base, data={"name": ""})).status_code == 400


async def test_what_governs_a_channel_is_sorted_too(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    admin = await door.api_token()
    await operators.create(door.system, "zhao", "a rather long password")
    base = f"/channels/{channel.key}"
    for name in ("b", "a", "c"):
        await door.post("/api/words", {"word": f"word {name}"}, admin)
        await door.post(f"/api{base}/strategies", {"name": f"rule {name}"}, admin)
    black = {"kind": "block", "name": "black"}
    id = (await door.post(f"/api{base}/lists", black, admin)).body["id"]
    entries = [{"kind": "userid", "value": f"user-{name}"} for name in "bac"]
    await door.post(f"/api{base}/lists/{id}/entries", {"entries": entries}, admin)
    await door.send("PATCH", f"/api{base}/rules", {"approval": True}, admin)
    for name in "bac":
        body = {"recipients": [{"address": "a@example.org"}], "subject": f"mail {name}"}
        await door.post("/api/messages", {**body, "text": "t", "owner": "zhao"}, channel)
    for path, query, found, order in (
        ("/words", "", r"word (\w)</td>", "bac"),
        ("/words", "sort=word", r"word (\w)</td>", "abc"),
        ("/words", "sort=-word", r"word (\w)</td>", "cba"),
        (f"{base}/strategies", "sort=name", r"rule (\w) ", "abc"),
        (f"{base}/strategies", "sort=-created_at", r"rule (\w) ", "cab"),
        (f"{base}/lists/{id}", "", r">user-(\w)</td>", "abc"),
        (f"{base}/lists/{id}", "sort=-value", r">user-(\w)</td>", "cba"),
        ("/approvals", "", r"mail (\w)</a>", "bac"),
        ("/approvals", "sort=-created_at", r"mail (\w)</a>", "cab"),
    ):
        text = (await visitor.get(f"{path}?{query}")).text
        assert re.findall(found, text) == list(order), (path, query)
