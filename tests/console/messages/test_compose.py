"""Writing a message: an uploaded list as its audience, and what the check says before it goes."""

import re
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.administration.test_settings import followed
from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, Visit, browsing
from console.conftest import log_in as sign_in
from support.doors import Door
from support.flow import until
from ums.console.i18n import Words
from ums.core.identity import operators

EMPTY = {"to": "list", "with": "text", "subject": "s", "body": "t", "zone": "UTC", "priority": "2"}


async def _keep(
    visitor: httpx.AsyncClient, file: bytes | None, path: str = "/send", **fields: Any
) -> httpx.Response:
    files = {"list": ("list.csv", file)} if file is not None else {"list": ("", b"")}
    return await visitor.post(path, data={**EMPTY, **fields}, files=files)


def _kept_list(answer: httpx.Response) -> str:
    """The list that the form names, so that its file need not be chosen again."""
    found = re.search(r'name="list_kept" value="(\d+)"', answer.text)
    assert found is not None
    return found[1]


async def test_a_draft_of_a_channel_that_one_left_is_gone(door: Door) -> None:
    """Whatever it holds, and on each page."""
    old, new = await door.channel(), await door.channel()
    ids = {key: one.id for key, one in (await door.system.directory.now()).channels.items()}
    await operators.create(door.system, "li", PASSWORD, "operator", channels=[ids[old.key]])
    fields = {"channel": old.key, "to": "people", "people": "a@example.org"}
    html = {"with": "html", "subject": "Of the old one", "body": "<p>Of the old one</p>"}
    async with browsing(door) as visitor:
        await sign_in(visitor, "li")
        kept = await _keep(visitor, None, **{**fields, **html})
        path = kept.headers["location"].removesuffix("/check")
        pages = [path, f"{path}/check", f"{path}/mail", "/send"]
        assert [(await visitor.get(page)).status_code for page in pages] == [200] * 4
        assert "Of the old one" in (await visitor.get(f"{path}/mail")).text
        await operators.change(door.system, "li", channels=[ids[new.key]])
        shown = [await visitor.get(page) for page in pages]
        assert [page.status_code for page in shown] == [404, 404, 404, 200]
        assert not [page for page in shown if "Of the old one" in page.text]
        moved = {**fields, "channel": new.key, "draft": path.rpartition("/")[2]}
        for again in (path, f"{path}/go", f"{path}/test", "/send/form", "/send/save"):
            assert (await _keep(visitor, None, again, **moved)).status_code == 404, again


async def test_a_line_that_names_nobody_is_named(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    people = "a@example.org; zhang\nno body\n\nx@@y, b@example.org"
    fields = {"channel": channel.key, "to": "people", "people": people}
    wrong = await _keep(visitor, None, **fields)
    assert wrong.status_code == 400
    assert "2 lines hold no address and no userid: 2 (no body), 4 (x@@y)." in wrong.text
    assert 'name="skip_bad"' in wrong.text
    shown = await followed(visitor, await _keep(visitor, None, skip_bad="on", **fields))
    assert "Send to 2" in shown  # nobody has the other userids
    nobody = {**fields, "people": "no body"}
    assert (await _keep(visitor, None, skip_bad="on", **nobody)).status_code == 400
    # What looks like a mistyped address is the userid of somebody all the same.
    entry = {"userid": "x@@y", "email": {"all": "c@example.org"}}
    await door.post("/v1/user/opt", [entry], await door.access_key())
    one = {**fields, "people": "x@@y"}
    assert "Send to 1" in await followed(visitor, await _keep(visitor, None, **one))


@pytest.mark.parametrize(("language", "told"), [("en", "Fill this in."), ("zh", "此项必填。")])
@pytest.mark.parametrize(
    ("left", "field"),
    [({"people": ""}, "people"), ({"to": "tags"}, "tags"), ({"body": ""}, "body")],
)
async def test_what_was_left_empty_is_told_beside_it(
    door: Door, visit: Visit, language: str, told: str, left: dict[str, str], field: str
) -> None:
    channel = await door.channel()
    visitor = await visit(language=language)
    fields = {"channel": channel.key, "to": "people", "people": "a@example.org", "with": "text"}
    refused = await visitor.post("/send", data={**fields, "subject": "s", "body": "t", **left})
    assert refused.status_code == 400
    assert f'id="{field}-error">{told}<' in refused.text


async def test_a_list_stays_chosen_after_an_error(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    fields = {"channel": channel.key, "body": ""}
    rows = "email\n" + "".join(f"u{n}@example.org\n" for n in range(1_200))
    wrong = await _keep(visitor, rows.encode(), **fields)
    assert wrong.status_code == 400
    assert "list.csv is uploaded: 1,200 rows." in wrong.text
    kept = _kept_list(wrong)
    fields["body"] = "t"
    shown = await followed(visitor, await _keep(visitor, None, list_kept=kept, **fields))
    assert "Send to 1,200" in shown
    other = await visit()  # another operator
    stolen = await _keep(other, None, list_kept=kept, **fields)
    assert stolen.status_code == 400
    assert "list is not kept any more" in stolen.text
    admin = await door.api_token()
    assert (await door.get(f"/api/imports/{kept}", admin)).status == 404
    assert (await visitor.get(f"/imports/{kept}")).status_code == 404
    assert "list.csv" not in (await visitor.get("/imports")).text


async def test_another_language_keeps_a_list(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    fields = {"channel": channel.key, "body": "", "lang": "zh"}
    for file in (b"email\na@example.org\n", b"PK\x03\x04junk"):
        moved = await _keep(visitor, file, "/send/language", **fields)
        shown = (await visitor.get(moved.headers["location"])).text
        assert ("已上传 list.csv，共 1 行" in shown) == (b"junk" not in file)
    wrong = await _keep(visitor, b"email\na@example.org\n", **fields)
    given = {
        name: re.findall(f'name="{name}" value="([^"]*)"', wrong.text)[0]
        for name in ("list_kept", "list_name", "list_size")
    }
    saved = await visitor.post("/send/save", data={**EMPTY, **fields, **given})
    assert "已上传 list.csv，共 1 行" in (await visitor.get(f"/send/{saved.text}")).text


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_a_list_is_chosen_in_a_browser(
    door: Door, browser_path: str | None, tmp_path: Path, language: str, size: tuple[int, int]
) -> None:
    await door.channel()
    await operators.create(door.system, "admin", PASSWORD)
    words, path = Words(language), tmp_path / "名单.csv"
    path.write_text("邮箱\na@example.org\nnobody\n", "utf-8")
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        await page.goto("/send")
        await page.click("label[for=to-list]")
        async with page.expect_file_chooser() as chooser:
            await page.click("#list")
        await (await chooser.value).set_files(path)
        await page.click("label[for=with-text]")
        await page.fill("#subject", "s")
        await page.fill("#body", "t")
        await page.click("main form button.primary")
        assert "3 (nobody)" in await page.inner_text("#list-error")
        kept = words("send.list_file", name="名单.csv", count="2")
        assert kept in await page.inner_text("main")
        await fits(page)
        await page.click("label[for=skip_wrong-on]")
        await page.click("main form button.primary")
        await page.wait_for_url("**/check")
        assert await page.inner_text("form[action$='/go'] button") == words("send.go", count=1)


async def _template(door: Door, visitor: httpx.AsyncClient, key: str, text: str) -> str:
    base = f"/channels/{key}/templates"
    fields = {"name": text[:40], "subject": "Hello", "kind": "text", "text": text}
    made = await visitor.post(base, data=fields)
    assert made.status_code == 303, made.text
    return made.headers["location"].partition("?")[0].rpartition("/")[2]


async def test_a_list_is_the_audience(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    key = {"channel": channel.key}
    for file, words in (
        (None, "Fill this in."),
        (b"name\nx\n", "No column holds addresses or userids"),
        (b"email\nnobody\n,x\na@example.org\n", "2 rows name nobody: 2 (nobody), 3 (–)"),
    ):
        refused = await _keep(visitor, file, **key)
        assert refused.status_code == 400
        assert 'id="list-error"' in refused.text
        assert words in refused.text
    rows = b"email\nnobody\na@example.org\nb@example.org\na@example.org\n"
    shown = await followed(visitor, await _keep(visitor, rows, skip_wrong="on", **key))
    assert "Send to 2" in shown
    assert "Same address twice" in shown


async def test_a_list_brings_values_of_each_one(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    id = await _template(door, visitor, channel.key, "Dear {{ name }}")
    fields = {"channel": channel.key, "with": "template", "template": id}
    lacks = await _keep(visitor, b"email,name\na@example.org,A\nb@example.org,\n", **fields)
    assert lacks.status_code == 400
    assert "1 recipient has no value for a variable" in lacks.text
    assert re.search(r"<code>name</code>.*b@example\.org", lacks.text, re.DOTALL)
    held = _kept_list(lacks)
    left = await _keep(visitor, None, skip_lacking="on", list_kept=held, **fields)
    assert "Send to 1" in await followed(visitor, left)
    kept = await _keep(visitor, b"email,name\na@example.org,A\nb@example.org,B\n", **fields)
    assert "Send to 2" in await followed(visitor, kept)
    path = kept.headers["location"].removesuffix("/check")
    assert "2 recipients of the list" in (await visitor.get(path)).text
    again = await _keep(visitor, None, path, **fields)
    assert "Send to 2" in await followed(visitor, again)
    assert "It is on its way" in await followed(visitor, await visitor.post(f"{path}/go"))


async def test_the_check_counts_who_lacks_a_variable(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    people = [
        {"userid": "has", "email": {"all": "a@example.org"}, "attributes": {"city": "x"}},
        {"userid": "lacks", "email": {"all": "b@example.org"}},
    ]
    await door.post("/v1/user/opt", people, await door.access_key())
    id = await _template(door, visitor, channel.key, "To {{ city }}")
    fields = {"channel": channel.key, "with": "template", "template": id, "to": "everyone"}
    shown = await followed(visitor, await _keep(visitor, None, **fields))
    assert "Send to 1" in shown
    assert "Lack a variable" in shown
    assert "<code>city</code>" in shown
    assert "userid=lacks" in shown
    assert "How long it takes shows once" in shown or "Takes about" in shown


async def test_what_is_written_may_have_variables(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    fields = {"channel": channel.key, "subject": "For {{ name }}", "body": "Dear {{ name }}"}
    wrong = await _keep(visitor, b"email\na@example.org\n", **{**fields, "body": "{{ name"})
    assert (wrong.status_code, 'id="body-error"' in wrong.text) == (400, True)
    rows = b"email,name\na@example.org,Ann\nb@example.org,Bob\n"
    kept = await _keep(visitor, rows, **fields)
    assert "Send to 2" in await followed(visitor, kept)
    path = kept.headers["location"].removesuffix("/check")
    written = (await visitor.get(path)).text
    assert "Dear {{ name }}" in written
    assert 'value="For {{ name }}"' in written
    assert "written " not in (await visitor.get(f"/templates?channel={channel.key}")).text
    changed = {**fields, "body": "Hello {{ name }}"}
    again = await _keep(visitor, None, path, **changed)
    assert again.headers["location"] == f"{path}/check"
    sent = await followed(visitor, await visitor.post(f"{path}/go"))
    assert "It is on its way" in sent

    async def both() -> bool:
        return len(door.smtp.mails) == 2

    await until(both)
    mails = sorted((mail.rcpt_to, message_from_bytes(mail.data)) for mail in door.smtp.mails)
    for (address, mail), name in zip(mails, ("Ann", "Bob"), strict=True):
        assert address == f"{name[0].lower()}@example.org"
        assert mail["Subject"] == f"For {name}"
        assert f"Hello {name}".encode() in mail.get_payload(decode=True)


async def test_mjml_is_written_here(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    mjml = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ name }}</mj-text></mj-column>"
        "</mj-section></mj-body></mjml>"
    )
    fields = {"channel": channel.key, "with": "mjml", "body": mjml, "variables": "name = all"}
    kept = await _keep(visitor, None, to="people", people="a@example.org", **fields)
    assert "Send to 1" in await followed(visitor, kept)
    path = kept.headers["location"].removesuffix("/check")
    assert "Hi all" in (await visitor.get(f"{path}/mail")).text
    shown = (await visitor.get(path)).text
    assert 'value="mjml" checked' in shown
    assert "name = all" in shown
    broken = await _keep(
        visitor, None, to="people", people="a@x.cn", **{**fields, "body": "<mjml>"}
    )
    assert (broken.status_code, 'id="body-error"' in broken.text) == (400, True)


async def test_rich_text_and_source(door: Door, browser_path: str | None) -> None:
    await operators.create(door.system, "admin", PASSWORD, "administrator")
    await door.channel()
    async with opened(browser_path, door, "en", WIDE) as page:
        await log_in(page)
        await page.goto("/send")
        await page.fill(".rich-text", "Hello")
        await page.press(".rich-text", "Enter")
        await page.click("[aria-label=Bold]")
        await page.keyboard.type("loud")
        await page.click("[aria-label='Bulleted list']")
        expected = "<p>Hello</p><ul><li><b>loud</b></li></ul>"
        assert await page.input_value("#body") == expected
        await page.click("text=Edit the HTML source")
        assert await page.inner_text(".cm-content") == expected
        await page.fill(".cm-content", "<table><tr><td>x</td></tr></table>")
        assert await page.is_disabled("text=Edit as rich text")
        await page.fill(".cm-content", "<p>back</p>")
        await page.click("text=Edit as rich text")
        assert await page.inner_text(".rich-text") == "back"
        await page.check("#with-text")
        assert await page.input_value("#body") == "<p>back</p>"
        assert await page.is_visible("#body")


async def test_the_page_of_a_message_names_who_sent_it(door: Door, visit: Visit) -> None:
    visitor, channel = await visit("operator"), await door.channel()
    kept = await _keep(visitor, b"email\na@example.org\n", channel=channel.key)
    path = kept.headers["location"].removesuffix("/check")
    shown = await followed(visitor, await visitor.post(f"{path}/go"))
    assert "Asked for by <code>operator:operator0</code> from <code>127.0.0.1</code>" in shown
