"""Lists of the console, sorted by their headings."""

import re

from console.conftest import Visit
from support.doors import Door


async def test_lists_are_sorted(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    for userid in ("b", "a", "c"):
        await door.post("/v1/user/opt", [{"userid": userid}], await door.access_key())
        body = {"recipients": [{"userid": userid}], "subject": f"to {userid}", "text": "t"}
        await door.post("/api/messages", body, channel)

    async def users(query: str) -> list[str]:
        text = (await visitor.get(f"/users?{query}")).text
        return re.findall(r'name="userid" value="(\w+)"', text)

    assert await users("") == ["b", "a", "c"]
    assert await users("sort=-created_at") == ["c", "a", "b"]
    assert await users("sort=userid") == ["a", "b", "c"]
    assert await users("sort=-userid&after=b") == ["a"]
    assert await users("sort=nonsense") == ["b", "a", "c"]
    text = (await visitor.get("/users?sort=userid")).text
    assert 'aria-sort="ascending"><a class="sort" href="?sort=-userid">' in text
    for query, expected in (("", "cab"), ("?sort=accepted_at", "bac")):
        text = (await visitor.get(f"/messages{query}")).text
        assert re.findall(r"to (\w)</a>", text) == list(expected)
