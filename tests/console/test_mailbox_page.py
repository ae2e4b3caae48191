"""The mailbox of a sender in the console."""

from console.administration.test_settings import followed
from console.conftest import Visit
from support import letters
from support.doors import Door
from support.imap import ACCOUNT, PASSWORD, ImapServer


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
