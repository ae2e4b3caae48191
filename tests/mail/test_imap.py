"""Looking into a mailbox: with every way of servers, and nothing changed there."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from support import letters
from support.fakes import Certificates
from support.imap import ACCOUNT, PASSWORD, ImapServer
from ums.mail.imap import LETTERS, READ, MailboxError, MailboxSettings, Place, Seen, Sought, visit
from ums.mail.outcomes import Encryption

CERTIFICATES = Certificates()
NOW = datetime.now(UTC)
OURS = "1f.0123456789abcdef0123@sender.example"


def sought(*ids: str, place: Place | None = None) -> Sought:
    return Sought(
        frozenset(ids), NOW - timedelta(days=1), place or Place(), NOW - timedelta(days=2), 20_000
    )


async def seen(
    server: ImapServer,
    what: Sought,
    *,
    encryption: Encryption = Encryption.NONE,
    password: str = PASSWORD,
    host: str = "localhost",
    **changes: str,
) -> Seen:
    settings = MailboxSettings(host, server.port, encryption, ACCOUNT, **changes)
    return await asyncio.to_thread(visit, settings, password, what, CERTIFICATES.client())


@pytest.mark.parametrize("encryption", list(Encryption))
async def test_mails_are_found_in_the_sent_folder(encryption: Encryption) -> None:
    context = None if encryption is Encryption.NONE else CERTIFICATES.server()
    implicit = encryption is Encryption.SSL
    async with ImapServer(context=context, implicit=implicit) as server:
        server.folders["Sent"].add(letters.sent("another@x.example"))
        server.folders["Sent"].add(letters.sent(OURS))
        found = await seen(server, sought(OURS, "missing@x.example"), encryption=encryption)
    assert (found.sent, found.sent_folder) == ({OURS}, "Sent")
    assert server.marked == 0


@pytest.mark.parametrize("name", ["Sent Messages", "已发送", "Sent Items"])
@pytest.mark.parametrize("special_use", [True, False])
async def test_the_sent_folder_has_many_names(name: str, *, special_use: bool) -> None:
    async with ImapServer(sent=name, special_use=special_use) as server:
        server.folders[name].add(letters.sent(OURS))
        found = await seen(server, sought(OURS))
    assert (found.sent, found.sent_folder) == ({OURS}, name)


async def test_a_folder_that_is_named_is_taken() -> None:
    async with ImapServer(sent="Outgoing", special_use=False) as server:
        server.folders["Outgoing"].add(letters.sent(OURS))
        assert (await seen(server, sought(OURS))).sent_folder == ""
        found = await seen(server, sought(OURS), sent_folder="Outgoing")
    assert found.sent == {OURS}


async def test_netease_wants_to_know_who_we_are() -> None:
    async with ImapServer(wants_id=True) as server:
        server.folders["Sent"].add(letters.sent(OURS))
        found = await seen(server, sought(OURS))
    assert found.sent == {OURS}
    assert any(command.startswith("ID") and "UMS" in command for command in server.commands)


async def test_old_mails_are_not_looked_through() -> None:
    async with ImapServer() as server:
        server.folders["Sent"].add(letters.sent(OURS), NOW - timedelta(days=9))
        assert (await seen(server, sought(OURS))).sent == frozenset()


async def test_only_the_newest_mails_are_looked_through() -> None:
    async with ImapServer() as server:
        for id in (OURS, "b@x.example", "c@x.example"):
            server.folders["Sent"].add(letters.sent(id))
        what = msgspec.structs.replace(sought(OURS, "c@x.example"), sent_mails=2)
        assert (await seen(server, what)).sent == {"c@x.example"}


async def test_letters_are_read_once() -> None:
    async with ImapServer() as server:
        server.inbox.add(letters.report(OURS), NOW - timedelta(days=9))  # from before our time
        first = await seen(server, sought())
        assert (first.letters, first.place) == ((), Place(1, 1))
        server.inbox.add(letters.report(OURS))
        server.inbox.add(b"From: a@b.example\r\nSubject: private\r\n\r\nNot ours to read.\r\n")
        second = await seen(server, sought(place=first.place))
        assert [letter.kind for letter in second.letters] == ["failed"]
        assert (second.letters_read, second.place, second.more) == (2, Place(1, 3), False)
        third = await seen(server, sought(place=second.place))
        assert (third.letters_read, third.place) == (0, Place(1, 3))
    whole = [command for command in server.commands if "BODY.PEEK[]" in command]
    assert len(whole) == 1  # other people's letters are left alone
    assert server.marked == 0


async def test_an_empty_mailbox_has_a_place_as_well() -> None:
    async with ImapServer() as server:
        found = await seen(server, sought())
        server.inbox.add(letters.complaint(OURS))
        again = await seen(server, sought(place=found.place))
    assert [letter.kind for letter in again.letters] == ["complaint"]


async def test_numbers_that_begin_anew() -> None:
    async with ImapServer() as server:
        server.inbox.uidvalidity = 7
        server.inbox.add(letters.report(OURS))
        found = await seen(server, sought(place=Place(1, 500)))
    assert (len(found.letters), found.place) == (1, Place(7, 1))


async def test_a_full_mailbox_is_read_in_parts() -> None:
    async with ImapServer() as server:
        for number in range(LETTERS + 30):
            raw = letters.report(OURS) if number % 2 else b"Subject: x\r\n\r\ny"
            server.inbox.add(raw)
        place, count, parts, more = Place(1, 0), 0, 0, True
        while more:
            found = await seen(server, sought(place=place))
            assert len(found.letters) <= READ
            place, more = found.place, found.more
            count, parts = count + len(found.letters), parts + 1
    assert (place.uid, count) == (LETTERS + 30, (LETTERS + 30) // 2)
    assert parts > 2


async def test_a_letter_that_breaks_the_reader_is_passed_over() -> None:
    deep = "".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(3000)
    )
    async with ImapServer() as server:
        server.inbox.add(b"From: postmaster@x.example\r\n" + deep.encode())
        server.inbox.add(letters.report(OURS))
        found = await seen(server, sought(place=Place(1, 0)))
    assert [letter.kind for letter in found.letters] == ["failed"]
    assert found.place == Place(1, 2)


@pytest.mark.parametrize("command", ["LOGIN", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH"])
async def test_a_server_that_hangs_up(command: str) -> None:
    async with ImapServer() as server:
        server.inbox.add(letters.report(OURS))
        server.hang_up_at = command
        with pytest.raises(MailboxError) as caught:
            await seen(server, sought(OURS, place=Place(1, 0)))
    assert caught.value.reason in ("mailbox_away", "mailbox_refused", "mailbox_login")


async def test_what_goes_wrong_has_a_name() -> None:
    async with ImapServer() as server:
        with pytest.raises(MailboxError) as wrong:
            await seen(server, sought(), password="wrong")
        with pytest.raises(MailboxError) as missing:
            await seen(server, sought(), inbox="Nowhere")
        port = server.port
    assert wrong.value.reason == "mailbox_login"
    assert wrong.value.detail == "LOGIN Login error or password error"
    assert PASSWORD not in str(wrong.value)
    assert missing.value.reason == "mailbox_refused"
    settings = MailboxSettings("127.0.0.1", port, Encryption.NONE, ACCOUNT)
    with pytest.raises(MailboxError) as away:
        await asyncio.to_thread(visit, settings, PASSWORD, sought())
    assert away.value.reason == "mailbox_away"


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("password", ["a blank", 'quo"te\\', "+/=", "pässwörd", "密码 中"])
async def test_a_password_of_any_characters(password: str, *, plain: bool) -> None:
    async with ImapServer(password=password, plain=plain) as server:
        server.folders["Sent"].add(letters.sent(OURS))
        if '"' not in password:  # which the server here does not read
            assert (await seen(server, sought(OURS), password=password)).sent == {OURS}
        with pytest.raises(MailboxError) as wrong:
            await seen(server, sought(), password=f"{password}错")
        assert wrong.value.reason == "mailbox_login"
        assert "Login error" in wrong.value.detail


async def test_no_python_shows_where_the_answers_are_no_imap() -> None:
    async with ImapServer() as server:
        server.folders["Sent"].add(letters.sent(OURS))
        server.inbox.sizes = {1: "x"}  # type: ignore[dict-item]
        server.inbox.add(letters.report(OURS))
        with pytest.raises(MailboxError) as caught:
            await seen(server, sought(place=Place(1, 0)))
    assert (caught.value.reason, caught.value.detail) == ("mailbox_nonsense", "")
    assert "Error" in caught.value.cause  # for the log


async def test_a_certificate_that_nobody_vouches_for() -> None:
    async with ImapServer(context=Certificates().server()) as server:
        with pytest.raises(MailboxError) as caught:
            await seen(server, sought(), encryption=Encryption.SSL)
    assert caught.value.reason == "mailbox_tls"
    assert server.logins == 0


async def test_no_password_goes_out_in_clear_except_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ImapServer() as server:
        await seen(server, sought(), encryption=Encryption.NONE)
        assert server.logins == 1
        monkeypatch.setattr("ums.mail.imap._is_here", lambda client: False)
        with pytest.raises(MailboxError) as caught:
            await seen(server, sought(), encryption=Encryption.NONE)
        assert caught.value.reason == "mailbox_tls"
        assert server.logins == 1


async def test_no_password_goes_out_in_clear_where_starttls_is_refused() -> None:
    async with ImapServer() as server:  # knows no STARTTLS
        with pytest.raises(MailboxError):
            await seen(server, sought(), encryption=Encryption.STARTTLS)
    assert server.logins == 0
