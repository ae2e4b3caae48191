"""`/v1/material`, from the form to the mail that carries the file (ums-spec 3.12)."""

import asyncio
import email
import email.policy
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import func, select

from support.doors import Answer, Door, OneChannel, open_door
from ums.config import Settings
from ums.core.channels import channels
from ums.core.content import materials
from ums.core.tables import material_chunks
from ums.core.tables import materials as table

B = "----WebKitFormBoundaryX"
FORM = f"multipart/form-data; boundary={B}"


def part(name: str, value: bytes, *more: str, head: str = "") -> bytes:
    """A part of a form; `head` is what follows its name."""
    lines = [f'Content-Disposition: form-data; name="{name}"{head}', *more]
    return f"--{B}\r\n".encode() + "\r\n".join([*lines, "", ""]).encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{B}--\r\n".encode()


def attachment(data: bytes = b"content", name: str = "a.txt", **more: Any) -> bytes:
    kind = part("type", b"attachment")
    extra = [part(key, str(value).encode()) for key, value in more.items()]
    return form(kind, part("file", data, head=f'; filename="{name}"'), *extra)


async def upload(
    door: Door, who: OneChannel | None, body: bytes, content_type: str = FORM
) -> Answer:
    return await door.ask(
        "POST", "/v1/material", who, content=body, headers={"Content-Type": content_type}
    )


async def count(door: Door) -> tuple[int, int]:
    async with door.system.database.read() as tx:
        whole = await tx.value(select(func.count()).select_from(table))
        return whole, await tx.value(select(func.count()).select_from(material_chunks))


async def newest(door: Door) -> materials.MaterialInfo:
    return (await materials.list_materials(door.system, limit=1)).items[0]


def files_of(source: bytes) -> list[tuple[str, str, bytes]]:
    """(name, type, content) of each attachment of a mail."""
    mail: Any = email.message_from_bytes(source, policy=email.policy.default)
    return [
        (one.get_filename(), one.get_content_type(), one.get_payload(decode=True))
        for one in mail.iter_attachments()
    ]


def sending(*urls: str) -> dict[str, Any]:
    return {
        "aud_email": [{"data": ["a@example.org"]}],
        "msg_email": [{"subject": "s", "text": "t", "files": list(urls)}],
    }


# -- what it answers --------------------------------------------------------------------------


async def test_the_answer(shared: Door, caller: OneChannel) -> None:
    answer = await upload(shared, caller, attachment())
    url = answer.body["url"]
    assert answer.status == 200
    assert answer.body == {"code": 0, "message": "success", "url": url}
    assert url.startswith(f"http://127.0.0.1:{shared.port}/v1/material/")


async def test_the_host_header_never_gets_into_the_url(shared: Door, caller: OneChannel) -> None:
    head = {"Content-Type": FORM, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    answer = await shared.ask("POST", "/v1/material", caller, content=attachment(), headers=head)
    assert "evil" not in answer.body["url"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nobody_can_fetch_it(shared: Door, caller: OneChannel, method: str) -> None:
    url = (await upload(shared, caller, attachment())).body["url"]
    token = url.rpartition("/")[2]
    for tail in (token, token[:-1], "x", "v:1t:1p:1n:1", "%E4%BD%A0"):
        for who in (None, caller):
            answer = await shared.ask(method, f"/v1/material/{tail}", who)
            assert answer.status == 403
            assert answer.headers["content-type"] == "application/json"
            if method == "GET":
                assert answer.told == (403, 4005, "material_hidden")


async def test_for_a_channel_alone(shared: Door, caller: OneChannel, master: Any) -> None:
    before = await count(shared)
    assert (await upload(shared, None, attachment())).told == (401, 4005, "no_credentials")
    assert (await upload(shared, master, attachment())).told == (403, 4005, "channel_only")
    closed = await shared.channel()
    await channels.set_open(shared.system, closed.key, open=False)
    assert (await upload(shared, closed, attachment())).told == (400, 1015005, "channel_closed")
    assert await count(shared) == before


# -- the form ---------------------------------------------------------------------------------


async def test_its_parts_come_in_any_order_with_others_between(
    shared: Door, caller: OneChannel
) -> None:
    body = form(
        part("time_to_live", b" 168 "),
        part("submit", b"x" * 10_000),
        part("file", b"\r\n--" + B.encode()[:-1] + b"\r\n", "Content-Type: text/x-y", head="; x=1"),
        part("type", b"attachment"),
    )
    assert (await upload(shared, caller, b"preamble\r\n" + body + b"epilogue")).code == 0
    found = await newest(shared)
    assert (found.name, found.content_type, found.size) == ("attachment", "text/x-y", len(B) + 5)


NAMES = [
    ('; filename="报告 2026.pdf"', "报告 2026.pdf"),
    ("; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf", "报告.pdf"),
    ("; filename=\"x.pdf\"; filename*=utf-8''%E6%8A%A5%E5%91%8A.pdf", "报告.pdf"),
    ('; filename="%E6%8A%A5%E5%91%8A.pdf"', "报告.pdf"),
    ('; filename="../../etc/a.pdf"', "a.pdf"),
    ('; filename="C:\\dir\\a.pdf"', "a.pdf"),
    ('; filename="a\\"b.pdf"', 'a"b.pdf'),
    ('; filename="a%22b.pdf"', 'a"b.pdf'),
    ('; filename="a%0d%0ab.pdf"', "ab.pdf"),
    ('; filename="a\x7f\u202eb.pdf"', "ab.pdf"),
    ("; filename=plain.pdf", "plain.pdf"),
    ('; filename=""', "attachment.pdf"),
    ("", "attachment.pdf"),
]


@pytest.mark.parametrize(("head", "name"), NAMES)
async def test_names(shared: Door, caller: OneChannel, head: str, name: str) -> None:
    file = part("file", b"x", "Content-Type: application/pdf", head=head)
    assert (await upload(shared, caller, form(file, part("type", b"attachment")))).code == 0
    assert (await newest(shared)).name == name


async def test_a_name_in_gbk(shared: Door, caller: OneChannel) -> None:
    body = attachment(name="NAME").replace(b"NAME", "报告.txt".encode("gbk"))
    assert (await upload(shared, caller, body)).code == 0
    assert (await newest(shared)).name == "报告.txt"


FILE = part("file", b"x", head='; filename="a"')
KIND = part("type", b"attachment")
REFUSED: dict[str, tuple[bytes, str]] = {
    "no type": (form(FILE), "missing"),
    "no file": (form(KIND), "missing"),
    "nothing": (form(), "missing"),
    "another type": (form(FILE, part("type", b"image")), "material_type"),
    "a long type": (form(FILE, part("type", b"a" * 10_000)), "bad_value"),
    "two types": (form(KIND, FILE, KIND), "one_value"),
    "two files": (form(KIND, FILE, FILE), "one_value"),
    "too many parts": (form(KIND, FILE, *[part("x", b"y")] * 15), "bad_form"),
    "a long header": (form(part("file", b"x", "X: " + "y" * 5000)), "bad_form"),
    "many headers": (form(part("file", b"x", *[f"X-{n}: y" for n in range(20)])), "bad_form"),
    "no name": (form(KIND, FILE.replace(b'name="file"', b"")), "missing"),
    "no disposition": (form(KIND, FILE.replace(b"Content-Disposition", b"X")), "bad_form"),
    "not a form part": (form(KIND, FILE.replace(b"form-data", b"inline")), "bad_form"),
    "a broken header": (form(KIND, FILE.replace(b"Content-Disposition:", b"X")), "bad_form"),
    "bare line ends": (form(KIND, FILE).replace(b"\r\n", b"\n"), "bad_form"),
    "no boundary in it": (b"x" * 1000, "bad_form"),
    "JSON": (b'{"type": "attachment"}', "bad_form"),
    "empty": (b"", "bad_form"),
    "null": (b"null", "bad_form"),
    "cut in a header": (KIND + FILE[:40], "bad_form"),
    "cut in a boundary": (KIND + FILE + f"--{B}".encode(), "bad_form"),
    "a wrong Content-Length": (form(KIND, part("file", b"x", "Content-Length: 9")), "bad_form"),
    **{
        f"time_to_live {value!r}": (form(KIND, FILE, part("time_to_live", value)), "material_ttl")
        for value in (b"0", b"169", b"-1", b"1.5", b"", b"x", b"1e2", b"9" * 200, "１２".encode())
    },
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_leaves_nothing(shared: Door, caller: OneChannel, name: str) -> None:
    body, reason = REFUSED[name]
    before = await count(shared)
    assert (await upload(shared, caller, body)).told == (400, 4004, reason)
    assert await count(shared) == before


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 300,
        "multipart/mixed; boundary=" + B,
        "multipart/form-data; boundary=other",
    ],
)
async def test_a_content_type_that_does_not_fit(
    shared: Door, caller: OneChannel, content_type: str
) -> None:
    answer = await upload(shared, caller, attachment(), content_type)
    assert answer.told == (400, 4004, "bad_form")


SPELLINGS = [
    FORM.upper().replace(B.upper(), B),
    FORM.replace(f"={B}", f'="{B}"'),
    FORM.replace("; boundary", ";charset=utf-8;boundary"),
]


@pytest.mark.parametrize("content_type", SPELLINGS)
async def test_spellings_of_the_content_type(
    shared: Door, caller: OneChannel, content_type: str
) -> None:
    assert (await upload(shared, caller, attachment(), content_type)).code == 0


@pytest.mark.parametrize("hours", ["1", "168", "024"])
async def test_hours(shared: Door, caller: OneChannel, hours: str) -> None:
    assert (await upload(shared, caller, attachment(time_to_live=hours))).code == 0


async def test_it_may_come_byte_by_byte(shared: Door, caller: OneChannel) -> None:
    body = attachment(b"\r\n" * 20 + b"--" + B.encode() + b"x", "报告.txt")

    async def bytes_of() -> Any:
        for at in range(len(body)):
            yield body[at : at + 1]

    given = await shared.http.post(
        "/v1/material", content=bytes_of(), auth=caller.basic, headers={"Content-Type": FORM}
    )
    assert given.json()["reason"] == "bad_form"  # the boundary within the file ends it
    body = attachment(b"\r\n" * 20, "报告.txt")
    given = await shared.http.post(
        "/v1/material", content=bytes_of(), auth=caller.basic, headers={"Content-Type": FORM}
    )
    assert given.json()["code"] == 0
    assert (await newest(shared)).size == 40


# -- limits -----------------------------------------------------------------------------------


async def test_limits_of_size_and_space(settings: Settings) -> None:
    small = structs.replace(settings, material_limit_bytes=300_000, materials_limit_bytes=600_000)
    async with open_door(small) as door:
        channel = await door.channel()
        for size, status in ((300_001, 413), (500_000, 413), (300_000, 200)):
            answer = await upload(door, channel, attachment(b"x" * size))
            assert answer.status == status, answer
            if status == 413:
                assert answer.told == (413, 4004, "material_large")
                assert "300000" in answer.body["message"]
        assert (await count(door))[0] == 1
        assert (await upload(door, channel, attachment(b"x" * 200_000))).status == 200
        full = await upload(door, channel, attachment(b"x" * 200_000))
        assert full.told == (413, 4004, "materials_full")
        assert (await count(door))[0] == 2


async def test_uploads_that_break_off_or_never_end(settings: Settings) -> None:
    async with open_door(structs.replace(settings, material_seconds=0.5)) as door:
        channel = await door.channel()
        body = attachment(b"x" * 600_000)
        head = (
            "POST /v1/material HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: {channel.header}\r\nContent-Type: {FORM}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        answer = await door.wire(head.encode() + body[:-100])
        assert answer.told == (408, 4004, "too_slow")
        assert await count(door) == (0, 0)
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(head.encode() + body[:-100])
        await writer.drain()
        writer.close()
        async with asyncio.timeout(20):
            while await count(door) != (0, 0):
                await asyncio.sleep(0.02)  # the server tells nobody that a caller hung up


# -- in messages ------------------------------------------------------------------------------


async def test_it_is_sent(shared: Door) -> None:
    channel, other = await shared.channel(), await shared.channel()
    data = bytes(range(256)) * 3000
    url = (await upload(shared, channel, attachment(data, "价格 表.bin"))).body["url"]
    small = (await upload(shared, channel, attachment(b"1,2", "a.csv"))).body["url"]
    for sender in (channel, other):  # materials belong to the account
        answer = await shared.post("/v1/sent", sending(url, small, url), sender)
        await shared.done(answer.body["msgid"], sender)
        kind = "application/octet-stream"
        whole = ("价格 表.bin", kind, data)
        assert files_of(shared.smtp.mails[-1].data) == [whole, ("a.csv", "text/csv", b"1,2"), whole]


async def test_one_that_is_not_there_is_named(shared: Door, caller: OneChannel) -> None:
    url = (await upload(shared, caller, attachment())).body["url"]
    answer = await shared.post("/v1/sent", sending(url, url[:-3] + "xyz"), caller)
    assert answer.told == (400, 4004, "material_unknown")
    assert "msg_email[0].files[1]" in answer.body["message"]
    item = await newest(shared)
    await materials.delete_material(shared.system, item.id)
    answer = await shared.post("/v1/sent", sending(url), caller)
    assert answer.told == (400, 4004, "material_unknown")


async def test_materials_and_urls_share_the_limit(settings: Settings) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\nConnection: close\r\n\r\n")
        writer.write(b"y" * 60)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    elsewhere = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/b.txt"
    limited = structs.replace(settings, fetch_allow="127.0.0.1/32", attachments_limit_bytes=100)
    async with server, open_door(limited) as door:
        channel = await door.channel()
        url = (await upload(door, channel, attachment(b"x" * 40))).body["url"]
        answer = await door.post("/v1/sent", sending(elsewhere, url), channel)
        await door.done(answer.body["msgid"], channel)
        assert [name for name, _, _ in files_of(door.smtp.mails[-1].data)] == ["b.txt", "a.txt"]
        for urls in ([url, url, elsewhere], [elsewhere, elsewhere, url], [url] * 3):
            answer = await door.post("/v1/sent", sending(*urls), channel)
            assert answer.told == (413, 4004, "files_too_large")
        answer = await door.post("/v1/sent", sending(url, "ftp://x"), channel)
        assert answer.told == (400, 4004, "bad_file_url")
        assert "files[1]" in answer.body["message"]


async def test_a_repeated_request_whose_material_is_gone(shared: Door, caller: OneChannel) -> None:
    url = (await upload(shared, caller, attachment())).body["url"]
    first = await shared.post("/v1/sent", sending(url), caller, Idempotency_Key="with-material")
    await shared.done(first.body["msgid"], caller)
    await materials.delete_material(shared.system, (await newest(shared)).id)
    again = await shared.post("/v1/sent", sending(url), caller, Idempotency_Key="with-material")
    assert again.body == first.body
