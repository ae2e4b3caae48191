"""Materials: stored in pieces, found by URL, kept as long as somebody needs them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from support.flow import with_settings
from ums import clock
from ums.core.channels import channels
from ums.core.content import material_upload, materials
from ums.core.content.material_upload import CHUNK, Storing, store, store_file
from ums.core.content.materials import MaterialInfo
from ums.core.context.app_context import AppContext
from ums.core.tables import material_chunks
from ums.core.tables import materials as table
from ums.errors import Invalid, NotFound, TooLarge

FIELDS = [f"files[{i}]" for i in range(9)]


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def made(system: AppContext, data: bytes = b"content", name: str = "a.txt") -> MaterialInfo:
    return await store(system, pieces(data), name=name)


async def count(system: AppContext) -> tuple[int, int]:
    """(materials, pieces of them) in the database."""
    async with system.database.read() as tx:
        rows = [
            await tx.value(select(func.count()).select_from(t)) for t in (table, material_chunks)
        ]
    return rows[0], rows[1]


async def age(system: AppContext, *ids: int) -> None:
    """Let the time of these be over."""
    async with system.database.write() as tx:
        await tx.run(update(table).where(table.c.id.in_(ids)).values(expires_at=clock.now() - 1))


async def content(system: AppContext, id: int) -> bytes:
    async with system.database.read() as tx:
        return (await materials.read(tx, [id]))[id]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
async def test_what_goes_in_comes_out(system: AppContext, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    parts = [data[:size][at : at + 60_000] for at in range(0, size, 60_000)]
    stored = await store(system, pieces(*parts), name="a.bin")
    assert stored.size == size
    assert await content(system, stored.id) == data[:size]
    assert await count(system) == (1, -(-size // CHUNK))


async def test_it_is_written_while_it_comes(system: AppContext) -> None:
    seen: list[tuple[int, int]] = []

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * CHUNK
            seen.append(await count(system))

    await store(system, slowly(), name="a.bin")
    assert seen == [(1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("报告.pdf", "", ("报告.pdf", "application/pdf")),
        ("报告.pdf", "application/octet-stream", ("报告.pdf", "application/pdf")),
        ("a.unheardof", "application/octet-stream", ("a.unheardof", "application/octet-stream")),
        ("a.csv", "text/csv; charset=GBK", ("a.csv", "text/csv; charset=gbk")),
        ("a.txt", "evil\r\nX: y/z", ("a.txt", "text/plain")),
        ("/etc/passwd", "", ("passwd", "application/octet-stream")),
        ("C:\\temp\\b.png", "", ("b.png", "image/png")),
        ("..", "image/png", ("attachment.png", "image/png")),
        ("a\x00\u202eb\r\n.txt", "", ("ab.txt", "text/plain")),
        ("", "", ("attachment", "application/octet-stream")),
    ],
)
async def test_names_and_types_are_mended(
    system: AppContext, name: str, kind: str, expected: tuple[str, str]
) -> None:
    stored = await store(system, pieces(b"x"), name=name, content_type=kind)
    assert (stored.name, stored.content_type) == expected


async def test_a_file_that_is_too_large_leaves_nothing(system: AppContext) -> None:
    with_settings(system, material_limit_bytes=CHUNK + 1)
    await store(system, pieces(b"x" * (CHUNK + 1)), name="a")
    with pytest.raises(TooLarge) as refused:
        await store(system, pieces(b"x" * CHUNK, b"yy"), name="b")
    assert (refused.value.reason, refused.value.code) == ("material_large", 4004)
    assert await count(system) == (1, 2)


async def test_the_space_of_all_together(system: AppContext) -> None:
    with_settings(system, materials_limit_bytes=3 * 64 * 1024)
    first = await made(system)
    await made(system, b"x" * 100_000)
    with pytest.raises(TooLarge) as refused:  # however small, each counts
        await made(system)
    assert refused.value.reason == "materials_full"
    assert (await count(system))[0] == 2
    await materials.delete_material(system, first.id)
    await made(system)


async def test_what_breaks_off_leaves_nothing(system: AppContext) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 2 * CHUNK
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store(system, broken(), name="a")
    assert await count(system) == (0, 0)


async def test_a_cancelled_upload_leaves_nothing(system: AppContext) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store(system, endless(), name="a"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(system) == (0, 0)


async def test_a_killed_upload_is_never_seen_and_tidied(system: AppContext) -> None:
    storing = Storing(system, "a")
    await storing.add(b"x" * CHUNK)
    assert await count(system) == (1, 1)
    assert (await materials.list_materials(system)).items == []
    assert await materials.sweep(system) == 0  # it may still be on its way
    async with system.database.read() as tx:
        id, token = await tx.first(select(table.c.id, table.c.token))
    with pytest.raises(NotFound):
        await materials.show(system, id)
    url = system.settings.base_url + materials.PATH + token
    with pytest.raises(Invalid):
        await materials.resolve(system, [url], FIELDS)
    await age(system, id)
    assert await materials.sweep(system) == 1
    assert await count(system) == (0, 0)
    with pytest.raises(Invalid):  # one that was so slow is told, and leaves nothing behind
        await storing.add(b"x" * CHUNK)
    assert await count(system) == (0, 0)


@pytest.mark.parametrize("hours", [0, -1, 169, 10**9])
async def test_hours(system: AppContext, hours: int) -> None:
    with pytest.raises(Invalid) as refused:
        await store(system, pieces(b"x"), name="a", hours=hours)
    assert refused.value.reason == "material_ttl"
    assert await count(system) == (0, 0)


async def test_they_live_for_their_hours(system: AppContext) -> None:
    before = clock.now()
    for hours in (1, 24, 168):
        id = (await store(system, pieces(b"x"), name="a", hours=hours)).id
        async with system.database.read() as tx:
            expires_at = await tx.value(select(table.c.expires_at).where(table.c.id == id))
        assert before <= expires_at - hours * clock.HOUR <= clock.now()


async def test_they_are_found_by_their_url(system: AppContext) -> None:
    one, other = await made(system), await made(system)
    assert one.url.startswith(system.settings.base_url + "/v1/material/")
    urls = ["https://elsewhere.example/a", other.url, one.url, other.url]
    found = await materials.resolve(system, urls, FIELDS)
    assert {place: known.id for place, known in found.items()} == {
        1: other.id,
        2: one.id,
        3: other.id,
    }


async def test_a_url_of_another_machine_or_an_older_name(system: AppContext) -> None:
    token = (await made(system)).url.rpartition("/")[2]
    with_settings(system, public_url="https://ums.example.com/")
    for base in ("https://ums.example.com", "HTTP://10.0.0.7:8080", "https://old.example/ums"):
        assert await materials.resolve(system, [f"{base}/v1/material/{token}"], FIELDS)


async def test_what_is_ours_and_not_there(system: AppContext) -> None:
    base = system.settings.base_url + "/v1/material/"
    token = (await made(system)).url.rpartition("/")[2]
    for tail in ("", "x", "A" * 43, token[:-1], token + "x", token + "?x", token + "#x"):
        with pytest.raises(Invalid) as refused:
            await materials.resolve(system, ["https://a.example/", base + tail], FIELDS)
        assert refused.value.reason == "material_unknown"
        assert refused.value.values["field"] == "files[1]"
    elsewhere = ["https://a.example/v1/material/" + "A" * 43, "nonsense", ""]
    assert await materials.resolve(system, elsewhere, FIELDS) == {}


async def test_when_its_time_is_over(system: AppContext) -> None:
    stored = await made(system)
    await age(system, stored.id)
    with pytest.raises(Invalid) as refused:
        await materials.resolve(system, [stored.url], FIELDS)
    assert refused.value.reason == "material_unknown"
    assert (await materials.show(system, stored.id)).expired
    kept = await made(system)
    assert await materials.sweep(system) == 1
    assert [item.id for item in (await materials.list_materials(system)).items] == [kept.id]
    assert await content(system, kept.id) == b"content"


async def test_deleting(system: AppContext) -> None:
    stored = await made(system)
    assert (await materials.delete_material(system, stored.id)).id == stored.id
    assert await count(system) == (0, 0)
    with pytest.raises(NotFound):
        await materials.delete_material(system, stored.id)


async def test_the_list_goes_by_pages(system: AppContext) -> None:
    ids = [(await made(system, name=f"{n}.txt")).id for n in range(5)]
    seen: list[int] = []
    after = None
    while True:
        page = await materials.list_materials(system, after=after, limit=2)
        seen += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
    assert seen == ids[::-1]
    for limit, after in ((0, None), (501, None), (1, "x"), (1, "9" * 19)):
        with pytest.raises(Invalid):
            await materials.list_materials(system, limit=limit, after=after)


async def test_a_channel_sees_and_deletes_its_own_alone(system: AppContext) -> None:
    for key in ("1", "2"):
        await channels.create(system, f"Channel {key}", key)
    known = (await system.directory.now()).channels
    mine, others = known["1"].id, known["2"].id
    stored = await store(system, pieces(b"x"), name="a", channel_id=mine)
    assert stored.channelkey == "1"
    assert [i.id for i in (await materials.list_materials(system, mine)).items] == [stored.id]
    assert (await materials.list_materials(system, others)).items == []
    for work in (materials.show, materials.delete_material):
        with pytest.raises(NotFound):
            await work(system, stored.id, others)
    assert (await materials.show(system, stored.id, mine)).id == stored.id
    # But whoever knows the URL may send it: materials belong to the account (3.12).
    assert await materials.resolve(system, [stored.url], FIELDS)


async def test_a_file_of_this_machine(system: AppContext, tmp_path: Path) -> None:
    file = tmp_path / "价格.csv"
    file.write_bytes(b"1,2")
    stored = await store_file(system, file, 1)
    assert (stored.name, stored.content_type, stored.size) == ("价格.csv", "text/csv", 3)
    assert await content(system, stored.id) == b"1,2"
    for absent in (tmp_path, tmp_path / "none"):
        with pytest.raises(Invalid):
            await store_file(system, absent)


async def test_tokens_cannot_be_guessed(system: AppContext) -> None:
    tokens = {(await made(system)).url.rpartition("/")[2] for _ in range(3)}
    assert len(tokens) == 3
    assert {len(token) for token in tokens} == {43}


def test_the_defaults_are_those_of_the_hosted_ums() -> None:
    assert (material_upload.HOURS, material_upload.MOST_HOURS) == (24, 168)
