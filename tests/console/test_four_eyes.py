"""Sending what a second person has to approve, and what that person sees before deciding."""

import re

import httpx

from console.administration.test_settings import followed
from console.browser import WIDE, log_in, opened
from console.conftest import Visit
from support.doors import Door, OneChannel

BOTH_DATABASES = True

HTML = "<p>Hello {{ name }}, <b>look</b></p><script>alert(1)</script>"
WRITTEN = {"with": "text", "subject": "Only today", "body": "A plain <b>offer</b>"}


async def ruled(door: Door, **rules: object) -> OneChannel:
    channel = await door.channel()
    path, admin = f"/api/channels/{channel.key}/rules", await door.api_token()
    assert (await door.send("PATCH", path, rules, admin)).status == 200
    return channel


async def people(door: Door, *names: str) -> None:
    entries = [
        {"userid": one, "attributes": {"name": one.title()}, "email": {"all": f"{one}@x.example"}}
        for one in names
    ]
    await door.post("/v1/user/opt", entries, await door.access_key())


async def checked(
    visitor: httpx.AsyncClient, channel: OneChannel, **fields: str
) -> tuple[str, str]:
    """The draft's path, and the page that is shown before it is sent."""
    given = {"channel": channel.key, "zone": "UTC", "priority": "2", **WRITTEN, **fields}
    kept = await visitor.post("/send", data=given)
    assert kept.status_code == 303, kept.text
    path = kept.headers["location"].partition("?")[0].removesuffix("/check")
    return path, (await visitor.get(f"{path}/check")).text


async def waiting(visitor: httpx.AsyncClient, channel: OneChannel, **fields: str) -> str:
    """A message that this operator sends; its msgid."""
    path, _ = await checked(visitor, channel, **fields)
    return (await visitor.post(f"{path}/go")).headers["location"].split("/")[2].split("?")[0]


async def offer(visitor: httpx.AsyncClient, channel: OneChannel) -> str:
    """A template; its id."""
    fields = {"name": "offer", "subject": "For {{ name }}", "kind": "html", "html": HTML}
    made = await visitor.post(f"/channels/{channel.key}/templates", data=fields)
    return made.headers["location"].partition("?")[0].rpartition("/")[2]


async def test_a_second_person_lets_it_go(door: Door, visit: Visit) -> None:
    channel = await ruled(door, approval_by_hand=True, approval_from=2)
    await people(door, "anna", "ben")
    first, second = await visit("operator"), await visit("operator")
    _, alone = await checked(first, channel, to="people", people="anna")
    assert "second person" not in alone
    path, check = await checked(first, channel, to="people", people="anna\nben")
    assert "until a second person approves it" in check
    sent = await first.post(f"{path}/go")
    shown = await followed(first, sent)
    assert "waits until a second person approves it" in shown
    assert "another person has to approve it" in shown
    msgid = sent.headers["location"].split("/")[2].split("?")[0]
    refused = await first.post(f"/approvals/{msgid}/approve")
    assert (refused.status_code, "another person has to approve" in refused.text) == (403, True)
    listed = (await first.get("/approvals")).text
    assert f'action="/approvals/{msgid}/approve"' not in listed
    listed = (await second.get("/approvals")).text
    assert f'action="/approvals/{msgid}/approve"' in listed
    assert "operator:operator0" in listed
    assert (await second.post(f"/approvals/{msgid}/approve")).status_code == 303
    assert (await door.done(msgid, channel))["counts"] == {"sent": 2}
    assert (
        "Approved by <code>operator:operator1</code>"
        in (await first.get(f"/messages/{msgid}")).text
    )


async def test_who_approves_sees_the_very_mail(door: Door, visit: Visit) -> None:
    channel = await ruled(door, approval=True, approval_by_hand=True)
    await people(door, "anna", "ben", "carl")
    admin = await visit()
    template = int(await offer(admin, channel))
    token = await door.api_token("messages:send", channels=[channel.key])
    files = [
        {"name": "价目.pdf", "content_type": "application/pdf", "content": "AAAA"},
    ]
    asked = {
        "recipients": [{"userid": "ben"}, {"userid": "anna"}],
        "template": template,
        "attachments": files,
        "owner": "administrator0",
    }
    answer = await door.post("/api/messages", asked, token)
    assert answer.status == 201, answer.raw
    msgid = answer.body["msgid"]
    approver = await visit("operator")
    for page in ("/approvals", f"/messages/{msgid}"):
        shown = (await approver.get(page)).text
        assert "For Ben" in shown
        assert "ums@sender.example" in shown
        assert "价目.pdf" in shown
        assert "3 Bytes" in shown
        assert "As sent to ben" in shown
        assert "<strong>to 2</strong>" in shown
        assert f'sandbox loading="lazy" src="/messages/{msgid}/mail' in shown
        text = (await approver.get(f"{page}?view=text")).text
        assert re.search(r"<pre[^>]*>[^<]*Hello Ben", text)
    mail = await approver.get(f"/messages/{msgid}/mail?as=anna")
    assert "Hello Anna" in mail.text
    assert "default-src 'none'" in mail.headers["content-security-policy"]
    assert "sandbox" in mail.headers["content-security-policy"]
    unknown = (await approver.get(f"/messages/{msgid}?as=nobody")).text
    assert 'id="as-error"' in unknown
    assert "For Ben" in unknown


async def test_the_audience_is_described_and_counted(door: Door, visit: Visit) -> None:
    channel = await ruled(door, approval_by_hand=True, broadcasts_per_day=0)
    await people(door, "anna", "ben", "carl")
    entry = [{"userid": "nobody-home"}]
    await door.post("/v1/user/opt", entry, await door.access_key())
    first, second = await visit("operator"), await visit("operator")
    msgid = await waiting(first, channel, to="everyone")
    shown = (await second.get(f"/messages/{msgid}")).text
    assert "to everyone" in shown
    assert "<strong>to 3</strong>" in shown
    assert "of 4 in the audience" in shown
    assert "Only today" in shown


async def test_another_channel_s_mail_is_not_there(door: Door, visit: Visit) -> None:
    channel, other = await ruled(door, approval_by_hand=True), await door.channel()
    first = await visit("operator")
    msgid = await waiting(first, channel, to="people", people="a@x.example")
    stranger = await door.api_token("messages:approve", channels=[other.key])
    assert (await door.post(f"/api/messages/{msgid}/approve", {}, stranger)).status == 404


async def test_the_mail_is_seen_in_a_browser(
    door: Door, visit: Visit, browser_path: str | None
) -> None:
    channel = await ruled(door, approval_by_hand=True)
    first = await visit("operator")
    await people(door, "ben")
    template = await offer(await visit("administrator"), channel)
    to = {"to": "people", "people": "ben", "with": "template", "template": template}
    msgid = await waiting(first, channel, **to)
    async with opened(browser_path, door, "en", WIDE) as page:
        await log_in(page, "administrator1")
        await page.wait_for_url("**/home")
        await page.goto("/approvals")
        frame = page.frame_locator("iframe.mail-frame")
        await frame.get_by_text("Hello Ben").wait_for()
        await page.get_by_role("link", name="Text", exact=True).click()
        await page.locator("pre.mail-text").wait_for()
        await page.get_by_role("button", name="Let it go").click()
        await page.wait_for_url(f"**/messages/{msgid}*")
