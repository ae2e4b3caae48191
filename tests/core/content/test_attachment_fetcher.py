"""Attachments by URL, from real local servers: names, types, limits."""

import asyncio
import gzip
import socket

import pytest
from msgspec import structs

from support.web import SETTINGS, Server, one, refusal
from ums.config import Settings, SettingsError
from ums.core.content.attachment_fetcher import fetch_files
from ums.core.content.file_names import clean_name, disposition_name
from ums.errors import Invalid, TooLarge
from ums.mail.mime.builder import File, MimeContent, MimeTemplate

# -- files ------------------------------------------------------------------------------------


async def test_files_come_in_their_order(server: Server) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    server.answers["/a.txt"] = late
    urls = [server.url("/a.txt"), server.add("/b.png", b"soon", "Content-Type: image/PNG")]
    assert await fetch_files(urls, SETTINGS) == [
        File("a.txt", "text/plain", b"late"),
        File("b.png", "image/png", b"soon"),
    ]
    assert await fetch_files([], SETTINGS) == []


async def test_a_request_asks_for_nothing_but_the_file(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.2:9")
    server.add("/x?q=1&r=%20", b"x", "Set-Cookie: a=b")
    await one(server.url("/x?q=1&r=%20#part"))
    await one(server.url("/x?q=1&r=%20"))
    for lines in server.requests:
        assert lines[0] == "GET /x?q=1&r=%20 HTTP/1.1"
        assert f"Host: 127.0.0.1:{server.port}" in lines
        assert "Accept-Encoding: identity" in lines
        assert not [line for line in lines if line.lower().startswith(("cookie", "referer"))]


async def test_a_chunked_body_and_one_that_ends_with_the_connection(server: Server) -> None:
    chunked = server.add("/c", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    server.answers["/e"] = b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
    files = await fetch_files([chunked, server.url("/e")], SETTINGS)
    assert [file.data for file in files] == [b"abc", b"until the end"]


@pytest.mark.parametrize(
    ("path", "headers", "name", "kind"),
    [
        ("/%E6%8A%A5%E5%91%8A.pdf", (), "报告.pdf", "application/pdf"),
        ("/报告.pdf?x=/y.png", (), "报告.pdf", "application/pdf"),
        ("/a%2Fb%5Cc.txt", (), "c.txt", "text/plain"),
        ("/a%00%0d%0ab.txt", (), "ab.txt", "text/plain"),
        ("/a/%2e%2e%2f..", (), "attachment", "application/octet-stream"),
        ("/", ("Content-Type: application/pdf",), "attachment.pdf", "application/pdf"),
        ("/", ("Content-Type: nonsense",), "attachment", "application/octet-stream"),
        ("/a.png", ("Content-Type: a b/c",), "a.png", "image/png"),
        ("/a.png", ("Content-Type: image/x(y)",), "a.png", "image/png"),
        ("/a.tar.gz", (), "a.tar.gz", "application/octet-stream"),
        ("/a", ('Content-Type: Text/Plain; x=1; charset="GBK"',), "a", "text/plain; charset=gbk"),
        ("/a", ("Content-Type: image/png; charset=gbk",), "a", "image/png"),
        ("/a", ("Content-Disposition: attachment; filename=b.pdf",), "b.pdf", "application/pdf"),
        ("/a", ('Content-Disposition: inline; filename="报告.txt"',), "报告.txt", "text/plain"),
    ],
)
async def test_names_and_types(
    server: Server, path: str, headers: tuple[str, ...], name: str, kind: str
) -> None:
    wired = path.replace("报告", "%E6%8A%A5%E5%91%8A")
    server.add(wired, b"data", *headers)
    file = await one(server.url(path))
    assert (file.name, file.content_type) == (name, kind)
    content = MimeContent("s", "t", (file,))
    MimeTemplate.build(content, from_address="a@example.com", auto_submitted=False)  # mime takes it


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("", ""),
        ("attachment", ""),
        ("attachment; filename=plain.pdf", "plain.pdf"),
        ('attachment; filename="a;b.pdf"; size=1', "a;b.pdf"),
        (r'attachment; filename="a\"b.pdf"', 'a"b.pdf'),
        (r'attachment; filename="C:\dir\f.pdf"', "f.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename=a.pdf; filename*=UTF-8''%e6%8a%a5.pdf", "报.pdf"),
        ("attachment; filename*=utf-8'zh'%E6%8A%A5.pdf; filename=a.pdf", "报.pdf"),
        ("attachment; filename*=gbk''%B1%A8.pdf", "报.pdf"),
        ("attachment; filename*=UTF-8''%ff.pdf; filename=a.pdf", "a.pdf"),
        ("attachment; filename*=idna''x; filename=a.pdf", "a.pdf"),
        ("attachment; filename*=UTF-8''..%2f..%5Cx%0a.pdf", "x.pdf"),
        ("attachment; filename=%E6%8A%A5.pdf", "报.pdf"),
        ("attachment; filename=100%.pdf", "100%.pdf"),
        ("attachment; filename=\u202egpj.exe", "gpj.exe"),
        ('attachment; filename="  "', ""),
        ("attachment; filename=" + "a" * 300 + ".pdf", "a" * 196 + ".pdf"),
    ],
)
def test_names_of_content_disposition(value: str, name: str) -> None:
    assert clean_name(disposition_name(value)) == name


# -- limits -----------------------------------------------------------------------------------


async def too_large(*urls: str) -> None:
    with pytest.raises(TooLarge) as refused:
        await fetch_files(urls, SETTINGS)
    assert (refused.value.reason, refused.value.values) == ("files_too_large", {"limit": 1000})


async def test_the_limit_holds_for_all_files_together(server: Server) -> None:
    half, more = server.add("/a", b"x" * 500), server.add("/b", b"x" * 501)
    assert len(await fetch_files([half, half], SETTINGS)) == 2
    await too_large(half, more)
    await too_large(server.add("/c", b"x" * 1001))


async def test_an_announced_size_is_refused_before_it_comes(server: Server) -> None:
    async def announce(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
        await over.wait()

    over = asyncio.Event()
    server.answers["/a"] = announce
    await too_large(server.url("/a"))
    over.set()


async def test_an_endless_body_is_read_up_to_the_limit(server: Server) -> None:
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000

    server.answers["/a"] = pour
    await too_large(server.url("/a"))
    assert sent < 20_000_000  # what the sockets of this machine hold, at most


async def test_a_slow_body_ends_at_the_deadline(server: Server) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.answers["/a"] = drip
    quick = Settings(fetch_allow="127.0.0.1", fetch_seconds=0.2)
    async with asyncio.timeout(20):
        assert await refusal(server.url("/a"), quick) == "timed out"


async def test_a_host_that_never_answers_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        quick = Settings(fetch_allow="127.0.0.1", fetch_seconds=0.1)
        for scheme in ("http", "https"):  # https: cancelled within the handshake
            assert await refusal(f"{scheme}://127.0.0.1:{port}/", quick) == "timed out"


async def test_compressed_bodies_are_refused(server: Server) -> None:
    body = gzip.compress(b"x" * 1000)
    for coding in ("gzip", "br", "identity, gzip", "zstd"):
        url = server.add("/a", body, f"Content-Encoding: {coding}")
        assert await refusal(url) == "answered with a compressed body"
    assert (await one(server.add("/b.gz", body, "Content-Encoding: identity"))).data == body


@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 403, 404, 500, 503])
async def test_only_200_is_an_answer(server: Server, status: int) -> None:
    url = server.add("/a", b"", status=f"{status} X")
    assert await refusal(url) == f"answered {status}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
    ],
)
async def test_what_is_not_http_cannot_be_reached(server: Server, answer: bytes) -> None:
    server.answers["/a"] = answer
    assert await refusal(server.url("/a")) == "cannot be reached"


async def test_a_closed_port_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await refusal(f"http://127.0.0.1:{port}/") == "cannot be reached"


async def test_one_failure_ends_the_others(server: Server) -> None:
    async def hang(_: asyncio.StreamWriter) -> None:
        await over.wait()

    over = asyncio.Event()
    server.answers["/slow"] = hang
    patient = structs.replace(SETTINGS, fetch_seconds=3600.0)
    urls = [server.url("/slow"), server.url("/slow"), server.add("/a", status="404 X")]
    with pytest.raises(Invalid) as refused:
        async with asyncio.timeout(20):
            await fetch_files(urls, patient)
    assert refused.value.words() == "msg_email[0].files[2]: answered 404"
    over.set()


async def test_counts_and_settings() -> None:
    with pytest.raises(Invalid) as refused:
        await fetch_files(["http://127.0.0.2/"] * 11, SETTINGS)
    assert refused.value.reason == "too_many"
    with pytest.raises(SettingsError):
        await fetch_files(["http://127.0.0.2/"], Settings(fetch_allow="inside"))
