"""A sender that was stopped, as an operator sees it."""

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door
from support.flow import until
from ums.core.senders import reputation
from ums.core.senders.reputation import Count


async def test_a_stopped_sender_is_told_of_and_confirmed(door: Door, visit: Visit) -> None:
    visitor, viewer = await visit(), await visit("viewer")
    channel = await door.channel()
    code, page = channel.sender, f"/senders/{channel.sender}"
    id = (await door.system.directory.now()).sender_codes[code].id
    assert "Of its last" not in (await visitor.get(page)).text
    await reputation.note(door.system, {id: Count(400, 30, 2)})
    shown = (await visitor.get(page)).text
    assert "Of its last 400 mails" in shown
    assert "30 to addresses that do not exist, 2 in doubt" in shown
    assert "too much goes wrong" in shown
    home = (await visitor.get("/home")).text
    assert "Of the last 400 mails of" in home
    await reputation.note(door.system, {id: Count(50, 50, 0)})
    recipients = [{"address": f"n{n}@b.org"} for n in range(3)]
    body = {"recipients": recipients, "subject": "Autumn", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]

    async def paused() -> bool:
        found = (await door.get(f"/api/messages/{msgid}", channel)).body
        return (found["state"], found["halt_reason"]) == ("paused", "bounces")

    await until(paused)
    assert "UMS paused it" in (await visitor.get(f"/messages/{msgid}")).text
    home = (await visitor.get("/home")).text
    assert "is suspended for messages to several people" in home
    assert "“Autumn” was paused, as its sender is suspended." in home
    assert "suspended</" in (await visitor.get("/senders")).text
    assert "Suspended: messages to several people are not sent" in (await viewer.get(page)).text
    assert (await viewer.post(f"{page}/confirm")).status_code == 403
    shown = await followed(visitor, await visitor.post(f"{page}/confirm"))
    assert "Suspended: messages to several people are not sent" not in shown
    await door.done(msgid, channel)


async def test_over_the_api(door: Door) -> None:
    token, channel = await door.api_token(), await door.channel()
    path = f"/api/senders/{channel.sender}"
    id = (await door.system.directory.now()).sender_codes[channel.sender].id
    await reputation.note(door.system, {id: Count(200, 20, 20)})
    told = (await door.get(f"{path}/standing", token)).body
    counts = {"mails": 200, "bounced": 20, "unknown": 20, "complained": 0}
    assert told == {**counts, "verdict": "stop"}
    shown = (await door.get(path, token)).body
    assert (shown["suspended_at"] is None, shown["throttled_until"] is None) == (False, False)
    confirmed = await door.post(f"{path}/confirm", {}, token)
    assert (confirmed.status, confirmed.body["suspended_at"]) == (200, None)
    assert (await door.get(f"{path}/standing", token)).body["mails"] == 0
    assert (await door.post("/api/senders/Nobody/confirm", {}, token)).status == 404
    assert (await door.get("/api/senders/Nobody/standing", token)).status == 404
