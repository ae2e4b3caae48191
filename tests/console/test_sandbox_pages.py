"""The sandbox's pages: what they show, whom they let in, and that mail cannot break out."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Router
from litestar.datastructures import State

from ums.console.i18n import LANGUAGES, WORDS
from ums.console.middleware import Door
from ums.console.rendering import static_files
from ums.console.sandbox.guests import COOKIE, guests_of
from ums.console.sandbox.mailbox import router
from ums.core.context.app_context import AppContext
from ums.core.deliveries import sandbox_mailbox
from ums.core.identity import operators

PLAIN = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: Hi\r\n\r\nHello <b>there</b>\r\n"
SCRIPT = "<script>alert(1)</script>"

RICH = (
    "From: =?utf-8?B?5byg5LiJ?= <zhang@example.org>\r\nTo: b@example.org\r\n"
    "Subject: =?utf-8?B?5L2g5aW9?= <script>alert(1)</script>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    "--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n"
    "--y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "5L2g5aW9\r\n"
    "--y\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    f'{SCRIPT}<img src="http://evil.example/x.png"><img src="cid:logo">\r\n--y--\r\n'
    "--x\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n"
    "Content-Disposition: inline; filename=logo.png\r\n\r\niVBORw0KGgo=\r\n"
    "--x\r\nContent-Type: text/html; name=x\r\n"
    "Content-Disposition: attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A%20%3Cscript%3E.html\r\n"
    f"\r\n{SCRIPT}\r\n--x--\r\n"
).encode()

GBK = (
    "Subject: 会议通知\r\nContent-Type: text/plain; charset=gb2312\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\n朱镕基\r\n"
).encode("gbk")

BROKEN = [
    b"",
    b"\x00\xff\xfe garbage without any structure",
    b"Subject: x\r\nContent-Type: multipart/mixed\r\n\r\nno boundary at all",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\ncut",
    b"Content-Type: text/html; charset=no-such-charset\r\n\r\n<p>\xff\xfe",
    b'Content-Type: text/html; charset="utf\x00-8"\r\n\r\n<p>x',
    b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 1000,
    b"Content-Type: text/plain; charset=utf-16-le\r\n\r\n\x00\xd8\x41\x00",
    b"Content-Type: text/html; charset=unicode_escape\r\n\r\n\\ud800",
    b"Content-Transfer-Encoding: base64\r\nContent-Type: text/plain\r\n\r\n!!!=",
    b"Content-Transfer-Encoding: x-uuencode\r\nContent-Type: text/plain\r\n\r\nbegin\r\n###",
    b"Subject: =?utf-8?B?////?= =?x?Q?=ff?= =?utf-8?B?a?=\r\nFrom: <\r\nTo: @,;:\r\n\r\n",
    b"Subject: =?utf-7?Q?+2AA-?=\r\nDate: not a date\r\nMessage-ID: <[\r\n\r\nx",
    b"From: =?utf-8?q?=5B?= <@[\r\nContent-Disposition: attachment; filename*=x''%ff\r\n\r\nx",
    b"Content-Disposition: attachment; filename*0*=utf-8''a; filename*x=b\r\n\r\nx",
    b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx",
    b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(2000)
    ),
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * 5000,
    b"X: y\r\n" * 20_000 + b"\r\n",
]


def application(system: AppContext) -> Litestar:
    state = State({"db": system.database, "system": system})
    behind = Router("/", route_handlers=[router], middleware=[Door])
    return Litestar([behind, static_files], state=state, openapi_config=None)


LOCAL = ("127.0.0.1", 40_000)


def client_of(
    system: AppContext, address: Any = LOCAL, version: str = "1.1", *, guest: bool = True
) -> AsyncClient:
    """A browser whose requests come from `address`; a guest's has followed the terminal's link.

    Not Litestar's test client: that runs the application in a loop of its own, and a database
    stays in the loop it was opened in.
    """
    app = application(system)

    async def arrived(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": address, "http_version": version}, receive, send)

    transport = ASGITransport(arrived)
    guests = guests_of(app.state)
    given = {COOKIE: str(guests.enter(guests.invite()))} if guest else {}
    return AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", cookies=given)


@pytest.fixture
def dialect() -> str:
    """The pages know no database: one kind is enough."""
    return "sqlite"


@pytest.fixture
async def client(system: AppContext) -> AsyncIterator[AsyncClient]:
    async with client_of(system) as opened:
        yield opened


async def catch(system: AppContext, source: bytes, subject: str | None = None) -> int:
    async with system.database.write() as tx:
        await sandbox_mailbox.keep(tx, "s@example.org", "r@example.org", source, limit=1000)
        newest = (await sandbox_mailbox.recent(tx, None, limit=1))[0]
    return newest.id


async def test_an_empty_sandbox_tells_how_mail_gets_here(client: AsyncClient) -> None:
    answer = await client.get("/sandbox")
    assert answer.status_code == 200
    assert WORDS["empty_title"]["en"] in answer.text


async def test_the_list_shows_mail_newest_first(client: AsyncClient, system: AppContext) -> None:
    first = await catch(system, PLAIN.replace(b"Hi", b"First one"))
    second = await catch(system, PLAIN.replace(b"Hi", b"Second one"))
    text = (await client.get("/sandbox")).text
    assert text.index(f'href="/sandbox/{second}"') < text.index(f'href="/sandbox/{first}"')
    assert text.index("Second one") < text.index("First one")
    assert "r@example.org" in text


async def test_the_list_goes_on_page_by_page(client: AsyncClient, system: AppContext) -> None:
    ids = [await catch(system, PLAIN) for _ in range(52)]
    first = (await client.get("/sandbox")).text
    assert f"?before={ids[2]}" in first
    second = (await client.get(f"/sandbox?before={ids[2]}")).text
    assert f'href="/sandbox/{ids[1]}"' in second
    assert f'href="/sandbox/{ids[2]}"' not in second
    assert "data-live" not in second
    assert WORDS["no_older"]["en"] in (await client.get(f"/sandbox?before={ids[0]}")).text


@pytest.mark.parametrize("before", ["x", "-1", "9" * 19, "9" * 400, "١", ""])
async def test_a_senseless_place_in_the_list_is_no_error(client: AsyncClient, before: str) -> None:
    assert (await client.get("/sandbox", params={"before": before})).status_code == 200


async def test_what_comes_appears_by_itself(
    client: AsyncClient, system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live_updates.EVERY", 0.05)
    monkeypatch.setattr("ums.console.live_updates.LONGEST", 40)
    await catch(system, PLAIN)
    assert 'data-live="/sandbox/live"' in (await client.get("/sandbox")).text
    following = asyncio.create_task(client.get("/sandbox/live"))
    await asyncio.sleep(0.5)
    await catch(system, PLAIN.replace(b"Hi", b"Some news"))
    answer = await following
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, second = answer.text.split("event: part")[1:]  # told when it changes, and only then
    assert ("Hi" in first, "Some news" in first, "Some news" in second) == (True, False, True)
    assert "<html" not in answer.text


async def test_a_mail_is_shown_with_its_parts(client: AsyncClient, system: AppContext) -> None:
    number = await catch(system, RICH)
    text = (await client.get(f"/sandbox/{number}")).text
    assert "你好 &lt;script&gt;" in text
    assert "张三" in text
    assert f'sandbox="" referrerpolicy="no-referrer" src="/sandbox/{number}/html"' in text
    assert SCRIPT not in text
    assert "你好" in (await client.get(f"/sandbox/{number}?view=text")).text
    assert "multipart/alternative" in (await client.get(f"/sandbox/{number}?view=source")).text


async def test_plain_mail_is_escaped(client: AsyncClient, system: AppContext) -> None:
    number = await catch(system, PLAIN)
    assert "Hello &lt;b&gt;there&lt;/b&gt;" in (await client.get(f"/sandbox/{number}")).text
    assert (await client.get(f"/sandbox/{number}/html")).status_code == 404


async def test_html_is_served_where_it_can_do_nothing(
    client: AsyncClient, system: AppContext
) -> None:
    answer = await client.get(f"/sandbox/{await catch(system, RICH)}/html")
    assert SCRIPT in answer.text
    policy = [one.strip() for one in answer.headers["content-security-policy"].split(";")]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "img-src data:" in policy
    assert "frame-ancestors 'self'" in policy
    assert not any(one.startswith("script-src") for one in policy)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in answer.text


async def test_source_is_what_came_over_the_wire(client: AsyncClient, system: AppContext) -> None:
    answer = await client.get(f"/sandbox/{await catch(system, GBK)}/source")
    assert answer.content == GBK
    assert answer.headers["content-type"] == "text/plain; charset=gb18030"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_files_are_downloads_of_no_type(client: AsyncClient, system: AppContext) -> None:
    number = await catch(system, RICH)
    answer = await client.get(f"/sandbox/{number}/files/1")
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert unquote(disposition.partition("filename*=UTF-8''")[2]) == "报告 _script_.html"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content.strip() == SCRIPT.encode()
    assert (await client.get(f"/sandbox/{number}/files/2")).status_code == 404
    assert (await client.get(f"/sandbox/{number}/files/-1")).status_code == 404


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"../../etc/passwd"', "_.._etc_passwd"),
        ('"a\tb.txt"', "a b.txt"),
        ('"=?utf-8?B?5oql5ZGKLnBkZg==?="', "报告.pdf"),
        ('"invoice\u202efdp.exe"', "invoice fdp.exe"),
        ('"报告.docx"', "报告.docx"),
        ('""', "part-1.txt"),
        ('"' + "长" * 300 + '.pdf"', "长" * 116 + ".pdf"),
        ("utf-8''%0d%0aSet-Cookie:%20a=b", "utf-8''%0d%0aSet-Cookie_%20a=b"),
    ],
)
async def test_a_file_name_is_made_safe(
    client: AsyncClient, system: AppContext, given: str, expected: str
) -> None:
    header = f"Content-Disposition: attachment; filename={given}\r\n\r\nx"
    number = await catch(system, header.encode())
    answer = await client.get(f"/sandbox/{number}/files/0")
    told = answer.headers["content-disposition"].partition("filename*=UTF-8''")[2]
    assert unquote(told) == expected


async def test_chinese_in_gbk_is_read(client: AsyncClient, system: AppContext) -> None:
    text = (await client.get(f"/sandbox/{await catch(system, GBK)}")).text
    assert "朱镕基" in text
    assert '<h1 dir="auto">会议通知</h1>' in text


@pytest.mark.parametrize("source", BROKEN, ids=range(len(BROKEN)))
async def test_broken_mail_is_shown_all_the_same(
    client: AsyncClient, system: AppContext, source: bytes
) -> None:
    number = await catch(system, source)
    for path in ("", "?view=html", "?view=text", "?view=source", "/source"):
        assert (await client.get(f"/sandbox/{number}{path}")).status_code == 200
    for path in ("/html", "/files/0"):
        assert (await client.get(f"/sandbox/{number}{path}")).status_code in {200, 404}


@pytest.mark.parametrize("path", ["0", "-1", "99", str(2**63), "9" * 40, "99/html", "99/source"])
async def test_an_unknown_mail_has_a_page_that_says_so(client: AsyncClient, path: str) -> None:
    answer = await client.get(f"/sandbox/{path}?lang=zh")
    assert answer.status_code == 404
    assert WORDS["not_found"]["zh"] in answer.text


async def test_pages_forbid_what_they_do_not_need(client: AsyncClient, system: AppContext) -> None:
    number = await catch(system, RICH)
    for path in ("/sandbox", f"/sandbox/{number}", "/sandbox/999"):
        headers = (await client.get(path)).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


async def test_scripts_and_styles_may_be_kept_for_good(client: AsyncClient) -> None:
    page = (await client.get("/sandbox")).text
    (script,) = re.findall(r'src="(/static/app-[^"]+[.]js)"', page)
    answer = await client.get(script)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/static/../words.toml")).status_code == 404


# Languages ----------------------------------------------------------------------------------


def test_every_word_is_there_in_every_language() -> None:
    for key, texts in WORDS.items():
        assert set(texts) - {"en_one"} == set(LANGUAGES), key
        holes = [
            sorted(part.partition("}")[0] for part in text.split("{")[1:])
            for text in (texts[language] for language in LANGUAGES)
        ]
        assert holes[0] == holes[1], key


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,zh;q=0.5", "en"),
        ("de,zh;q=0.3,en;q=0.4", "en"),
        ("fr", "en"),
        ("zh;q=0,en", "en"),
        (";;;q=x,,zh-Hant-TW", "zh-CN"),
        ("", "en"),
    ],
)
async def test_the_browser_is_heard(client: AsyncClient, accept: str, language: str) -> None:
    answer = await client.get("/sandbox", headers={"Accept-Language": accept})
    assert f'<html lang="{language}">' in answer.text


async def test_a_chosen_language_stays(client: AsyncClient) -> None:
    chosen = await client.get("/sandbox?before=7&lang=zh")
    assert 'href="?before=7&amp;lang=en"' in chosen.text
    assert "httponly" in chosen.headers["set-cookie"].lower()
    assert '<html lang="zh-CN">' in (await client.get("/sandbox")).text
    assert '<html lang="zh-CN">' in (await client.get("/sandbox?lang=tlh")).text


# Who may look -------------------------------------------------------------------------------


ASIDE: list[tuple[Any, str, dict[str, str], str]] = [
    (("127.0.0.1", 1), "localhost", {}, "1.1"),
    (("127.8.8.8", 1), "LOCALHOST:8080", {}, "1.1"),
    (("::1", 1), "[::1]:8080", {}, "1.1"),
    (("::ffff:127.0.0.1", 1), "127.0.0.1:80", {}, "2"),
]
STRANGERS: list[tuple[Any, str, dict[str, str], str]] = [
    (("192.0.2.7", 1), "localhost", {}, "1.1"),
    (("::ffff:192.0.2.7", 1), "localhost", {}, "1.1"),
    (("testclient", 1), "localhost", {}, "1.1"),
    (None, "localhost", {}, "1.1"),
    (("127.0.0.1", 1), "evil.example", {}, "1.1"),
    (("127.0.0.1", 1), "localhost.evil.example:8080", {}, "1.1"),
    (("127.0.0.1", 1), "localhost:8080@evil.example", {}, "1.1"),
    (("127.0.0.1", 1), "", {}, "1.1"),
    (("127.0.0.1", 1), "localhost", {"X-Forwarded-For": "127.0.0.1"}, "1.1"),
    (("127.0.0.1", 1), "localhost", {"x-forwarded-host": "localhost"}, "1.1"),
    (("127.0.0.1", 1), "localhost", {"Forwarded": "for=127.0.0.1"}, "1.1"),
    (("127.0.0.1", 1), "localhost", {"X-Real-IP": "127.0.0.1"}, "1.1"),
    (("127.0.0.1", 1), "127.0.0.1:8080", {}, "1.0"),
]


@pytest.mark.parametrize(("address", "host", "headers", "version"), ASIDE)
async def test_an_address_is_no_proof(
    system: AppContext, address: Any, host: str, headers: dict[str, str], version: str
) -> None:
    """A proxy on this machine asks from the same one, for anybody."""
    async with client_of(system, address, version, guest=False) as client:
        answer = await client.get("/sandbox", headers={**headers, "Host": host})
    assert answer.status_code != 200
    async with client_of(system, address, version) as client:
        answer = await client.get("/sandbox", headers={**headers, "Host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(("address", "host", "headers", "version"), STRANGERS)
async def test_everybody_else_signs_in(
    system: AppContext, address: Any, host: str, headers: dict[str, str], version: str
) -> None:
    await operators.create(system, "li", "correct horse battery")
    basic = base64.b64encode(b"li:correct horse battery").decode()
    for more in ({}, {"Authorization": f"Basic {basic}"}):
        async with client_of(system, address, version, guest=False) as client:
            answer = await client.get("/sandbox", headers={**headers, **more, "Host": host})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fsandbox")
        assert "www-authenticate" not in answer.headers
