"""Users found by the channel that reaches them, and changed together."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door


async def test_users_are_found_by_reach_and_changed_together(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    people = [
        {"userid": "everywhere", "email": {"all": "a@example.org"}},
        {"userid": "here", "email": {channel.key: "b@example.org"}},
        {"userid": "nowhere"},
    ]
    await door.post("/v1/user/opt", people, await door.access_key())

    async def found(query: str) -> set[str]:
        text = (await visitor.get(f"/users?{query}")).text
        return set(re.findall(r'name="userid" value="(\w+)"', text))

    assert await found("") == {"everywhere", "here", "nowhere"}
    assert await found(f"reach={channel.key}") == {"everywhere", "here"}
    other = await door.channel()
    assert await found(f"reach={other.key}") == {"everywhere"}
    assert await found("reach=-") == {"nowhere"}
    assert (await visitor.get("/users?reach=strange")).status_code == 404
    chosen = {"userid": ["here", "nowhere"], "tag": "vip"}
    await followed(visitor, await visitor.post("/users-chosen", data={**chosen, "doing": "add"}))
    assert await found("tag=vip") == {"here", "nowhere"}
    taken = {"userid": ["here"], "tag": "vip", "doing": "del"}
    await followed(visitor, await visitor.post("/users-chosen", data=taken))
    assert await found("tag=vip") == {"nowhere"}
    nothing = await visitor.post("/users-chosen", data={"userid": ["here"], "doing": "add"})
    assert "Nothing was changed" in await followed(visitor, nothing)
    asked = await visitor.post("/users-chosen", data={"userid": ["nowhere"], "doing": "delete"})
    assert (asked.status_code, "Delete 1 user" in asked.text) == (200, True)
    assert await found("") == {"everywhere", "here", "nowhere"}
    sure = {"userid": ["nowhere"], "doing": "delete", "sure": "1"}
    gone = await visitor.post("/users-chosen", data=sure)
    assert "1 user deleted." in await followed(visitor, gone)
    assert await found("") == {"everywhere", "here"}
