"""The page before a message is sent: all that keeps it back."""

from console.conftest import Visit
from support.doors import Door


async def test_all_that_keeps_it_back_is_told_before_it_is_sent(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    await door.post("/api/words", {"word": "casino"}, await door.api_token())
    fields = {"channel": channel.key, "zone": "UTC", "priority": "2", "with": "text"}
    text = {"subject": "Big casino", "body": "t", "people": "a@example.org"}
    kept = await visitor.post("/send", data={**fields, **text})
    path = kept.headers["location"].partition("?")[0]
    await visitor.post(f"/senders/{channel.sender}/pause")
    shown = (await visitor.get(path)).text
    assert "no email sender that is authorised and open" in shown
    assert "casino" in shown.partition('class="trouble"')[2].partition("</p>")[0]
    assert f'{path.removesuffix("/check")}/go"' not in shown
