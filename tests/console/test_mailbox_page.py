"""The mailbox of a sender in the console."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from console.administration.test_settings import followed
from console.browser import WIDE, log_in, opened
from console.conftest import PASSWORD as CONSOLE_PASSWORD
from console.conftest import Visit
from support import letters
from support.doors import Door
from support.imap import ACCOUNT, PASSWORD, ImapServer
from ums.core.identity import operators
from ums.core.senders import mailboxes
from ums.core.senders.mailboxes import NewMailbox

# Says how the button looks once its form was sent; the page cannot be asked then.
SAY = """() => {
  const look = document.querySelector("form[action$='/mailbox/look'] button");
  look.form.addEventListener("submit", () => requestAnimationFrame(() => {
    const drawn = getComputedStyle(look, "::before");
    told(look.disabled, drawn.borderBlockEndStyle, drawn.animationName);
  }));
}"""


async def test_a_mailbox_is_set_looked_into_and_removed(door: Door, visit: Visit) -> None:
    visitor, viewer, code = await visit(), await visit("viewer"), await door.sender()
    page = f"/senders/{code}/mailbox"
    assert "Look into its mailbox" in (await visitor.get(f"/senders/{code}")).text
    assert (await viewer.get(page)).status_code == 403
    async with ImapServer() as server:
        server.folders["Sent"].add(letters.sent("x@y.example"))
        fields = {"host": "127.0.0.1", "port": str(server.port), "encryption": "none"}
        fields |= {"allow_port": "on"}
        fields |= {"account": ACCOUNT, "password": PASSWORD, "sent_folder": "", "inbox": "INBOX"}
        for change, field in (
            ({"host": "a b"}, "host"),
            ({"port": "x"}, "port"),
            ({"port": "70000"}, "port"),
            ({"encryption": "tls"}, "encryption"),
            ({"password": ""}, "password"),
            ({"inbox": ""}, "inbox"),
            ({"allow_port": ""}, "port"),
        ):
            wrong = await visitor.post(page, data={**fields, **change})
            assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (400, True), field
            assert PASSWORD not in wrong.text
        assert (await viewer.post(page, data=fields)).status_code == 403
        shown = await followed(visitor, await visitor.post(page, data=fields))
        assert "looked into within a few seconds" in shown
        looked = await followed(visitor, await visitor.post(f"{page}/look"))
        assert "Looked into the mailbox." in looked
        assert "Were in doubt, and had arrived" in looked
        assert PASSWORD not in looked
        again = (await visitor.get(page)).text
        assert (f'value="{server.port}"' in again, PASSWORD in again) == (True, False)
        kept = {**fields, "password": "", "inbox": "Bounces"}
        await followed(visitor, await visitor.post(page, data=kept))
        failed = await followed(visitor, await visitor.post(f"{page}/look"))
        assert "could not be looked into" in failed
        assert "no such folder" in failed
        assert "cannot be looked into" in (await visitor.get("/home")).text
    removed = await followed(visitor, await visitor.post(f"{page}/remove"))
    assert "not looked into any more" in removed
    assert (await visitor.post(f"{page}/look")).status_code == 404


async def test_a_providers_server_is_known(door: Door, visit: Visit) -> None:
    visitor = await visit(language="zh")
    fields = {"preset": "qq", "code": "q", "name": "Q", "host": "smtp.qq.com", "port": "465"}
    fields |= {"encryption": "ssl", "from_address": "1@qq.com", "account": "1@qq.com"}
    await followed(visitor, await visitor.post("/senders", data={**fields, "password": "secret"}))
    page = (await visitor.get("/senders/q/mailbox")).text
    assert 'value="imap.qq.com"' in page
    assert 'value="1@qq.com"' in page
    assert "授权码" in page


async def test_a_look_that_takes_long_shows_that_it_runs(
    door: Door, browser_path: str | None
) -> None:
    await operators.create(door.system, "admin", CONSOLE_PASSWORD)
    code, seen = await door.sender(), asyncio.Event()
    async with silent(seen) as port, opened(browser_path, door, "en", WIDE) as page:
        await mailboxes.set_mailbox(
            door.system,
            code,
            NewMailbox(
                host="127.0.0.1", port=port, encryption="none", password="p", allow_port=True
            ),
        )
        await log_in(page)
        await page.goto(f"/senders/{code}")
        told: asyncio.Queue[list[object]] = asyncio.Queue()
        await page.expose_function("told", lambda *state: told.put_nowait([*state]))
        await page.evaluate(SAY)
        look = page.locator("form[action$='/mailbox/look'] button")
        await look.click(no_wait_after=True)
        async with asyncio.timeout(60):
            assert await told.get() == [True, "solid", "turn"]
        seen.set()
        await page.wait_for_url("**did*")
        assert await look.is_enabled()


@asynccontextmanager
async def silent(seen: asyncio.Event) -> AsyncGenerator[int]:
    """The port of a server that says nothing until then, and leaves."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await seen.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
