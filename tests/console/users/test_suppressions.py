"""The page of suppressed addresses."""

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door


async def test_suppressed_addresses_are_shown_and_lifted(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    person = {"userid": "li", "email": {"all": "li@example.org"}}
    await door.post("/v1/user/opt", [person], await door.access_key())
    base = f"/channels/{channel.key}/suppressions"
    assert "No address is suppressed" in (await visitor.get(base)).text
    door.smtp.script["RCPT"] = lambda call: b"550 5.1.1 no <b>such</b> user\r\n"
    body = {"recipients": [{"userid": "li"}], "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    await door.done(msgid, channel)
    shown = (await visitor.get(base)).text
    assert "no &lt;b&gt;such&lt;/b&gt; user" in shown
    assert "Why, and how to lift it" in (await visitor.get("/users/li")).text
    file = (await visitor.get(f"{base}.csv")).text
    assert "li@example.org,no_such_mailbox," in file
    wrong = await visitor.post(base, data={"addresses": "nobody"})
    assert (wrong.status_code, 'id="addresses-error"' in wrong.text) == (400, True)
    await followed(visitor, await visitor.post(base, data={"addresses": "a@x.cn\n b@x.cn \n"}))
    assert "a@x.cn" in (await visitor.get(f"{base}?address=a@X.CN")).text
    assert "is not suppressed" in (await visitor.get(f"{base}?address=c@x.cn")).text
    nothing = await visitor.post(f"{base}/lift", data={})
    assert "Nothing was ticked" in await followed(visitor, nothing)
    lifting = {"address": ["li@example.org", "a@x.cn"]}
    left = await followed(visitor, await visitor.post(f"{base}/lift", data=lifting))
    assert ("b@x.cn" in left, "li@example.org" in left) == (True, False)
    assert "Why, and how to lift it" not in (await visitor.get("/users/li")).text
