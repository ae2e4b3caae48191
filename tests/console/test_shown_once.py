"""Secrets that a page shows once: neither lost nor made again when the page is loaded again."""

import re

import pytest
from sqlalchemy import select, update

from console.administration.test_settings import followed
from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, Visit
from support.doors import Door
from support.flow import with_settings
from support.receiver import receiving
from support.telling import ALLOWED
from ums import clock
from ums.console.i18n import Words
from ums.core.identity import one_time_secrets, operators
from ums.core.tables import one_time_secrets as rows

BOTH_DATABASES = True


async def test_without_scripts_a_new_channel_s_zone_is_utc(
    door: Door, browser_path: str | None
) -> None:
    """A required field that nobody fills would stop the form."""
    await operators.create(door.system, "admin", PASSWORD)
    async with opened(browser_path, door, "en", WIDE, scripts=False) as page:
        await log_in(page)
        await page.goto("/channels/new")
        assert await page.input_value("#zone") == "UTC"
        await page.fill("#name", "News")
        await page.click("main button.primary")
        await page.wait_for_url("**/shown/*")


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_a_new_channel_s_secret_outlives_a_reload(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int]
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        await page.goto("/channels/new")
        browsers = await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
        assert await page.input_value("#zone") == browsers
        await page.fill("#name", "News")
        await page.fill("#zone", "Nowhere/None")
        await page.click("main button.primary")
        assert await page.locator("#zone-error").is_visible()
        await page.fill("#zone", "Asia/Shanghai")
        await page.click("main button.primary")
        await page.wait_for_url("**/shown/*")
        secret = await page.locator(".copied-text").nth(1).inner_text()
        await page.reload()
        assert await page.locator(".copied-text").nth(1).inner_text() == secret
        await fits(page)
        await page.click("main button.primary")
        await page.wait_for_url("**/channels/*")
        await page.go_back()
        assert secret not in await page.content()
        assert Words(language)("gone_title") in await page.inner_text("h1")
    (channel,) = (await door.system.directory.now()).channels.values()
    assert channel.rules.zone == "Asia/Shanghai"


async def test_only_who_made_it_sees_it_and_only_for_a_while(door: Door, visit: Visit) -> None:
    visitor, other = await visit(), await visit()
    made = await visitor.post("/channels", data={"name": "News", "zone": "Asia/Shanghai"})
    where = made.headers["location"]
    secret = re.findall(r"[0-9a-z]{24}", await followed(visitor, made))[0]
    assert secret in (await visitor.get(where)).text
    for again in (await other.get(where), await other.post(f"{where}/done")):
        assert secret not in again.text
    assert secret in (await visitor.get(where)).text  # another's word does not put it away
    async with door.system.database.read() as tx:
        (row,) = await tx.rows(select(rows))
    assert secret not in str(row)
    assert clock.now() < row.expires_at <= clock.now() + one_time_secrets.LIFE
    async with door.system.database.write() as tx:
        await tx.run(update(rows).values(expires_at=clock.now()))
    late = await visitor.get(where)
    assert (late.status_code, secret in late.text) == (404, False)


async def test_a_rotated_secret_is_shown_the_same_way(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    rotated = await visitor.post(f"/channels/{channel.key}/rotate", data={"overlap": "0"})
    assert rotated.status_code == 303
    first = await followed(visitor, rotated)
    assert await followed(visitor, rotated) == first
    assert channel.key in first


async def test_the_signing_secret_of_a_callback_is_shown_the_same_way(
    door: Door, visit: Visit
) -> None:
    with_settings(door.system, **ALLOWED)
    visitor, channel = await visit(), await door.channel()
    path = f"/channels/{channel.key}/callbacks"
    async with receiving("", "") as receiver:
        made = await visitor.post(path, data={"url": receiver.url, "schedule": "hosted"})
        rotated = await visitor.post(f"{path}/1/rotate")
    secrets: list[str] = []
    for told in (made, rotated):
        assert told.status_code == 303
        assert "whsec_" not in told.text
        secrets += set(re.findall(r"whsec_[\w+/=]+", await followed(visitor, told)))
        assert secrets[-1] in await followed(visitor, told)  # loaded again, it is the same one
    assert len(set(secrets)) == len(secrets) == 2
    assert not set(secrets) & set(re.findall(r"whsec_[\w+/=]+", (await visitor.get(path)).text))
    done = await visitor.post(f"{rotated.headers['location']}/done")
    assert done.headers["location"] == path
    assert (await visitor.get(rotated.headers["location"])).status_code == 404
