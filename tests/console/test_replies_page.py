"""What servers said that nobody understood, and the rule that is made of it."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit, settled
from support.doors import Door


async def test_a_strange_reply_is_shown_and_given_a_meaning(door: Door, visit: Visit) -> None:
    visitor, viewer, channel = await visit(), await visit("viewer"), await door.channel()
    assert "Every reply of the last 100,000 attempts" in (await visitor.get("/replies")).text
    door.smtp.script["RCPT"] = lambda call: b"550 The elders <b>object</b>, case 7\r\n"
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]

    async def failed() -> bool:
        counts = (await door.get(f"/api/messages/{msgid}", channel)).body["counts"]
        return bool(counts.get("failed"))

    await settled(failed)
    text = (await visitor.get("/replies")).text
    assert "550 The elders &lt;b&gt;object&lt;/b&gt;, case 7" in text
    (link,) = re.findall(r'href="(\?text=[^"]+)#rule"', text)
    shown = (await visitor.get(f"/replies{link.replace('&amp;', '&')}")).text
    assert 'value="The elders &lt;b&gt;object&lt;/b&gt;, case 7"' in shown
    wrong = await visitor.post("/replies", data={"text": "no", "reason": "content"})
    assert (wrong.status_code, 'id="text-error"' in wrong.text) == (400, True)
    fields = {"text": "the elders", "code": "55X", "reason": "no_such_mailbox"}
    assert (await viewer.post("/replies", data=fields)).status_code == 403
    made = await followed(visitor, await visitor.post("/replies", data=fields))
    assert '<code class="muted">no_such_mailbox</code>' in made
    (id,) = re.findall(r"/replies/(\d+)/delete", made)
    gone = await followed(visitor, await visitor.post(f"/replies/{id}/delete"))
    assert "Your rules" not in gone
