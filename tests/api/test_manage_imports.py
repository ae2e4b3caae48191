"""Imports over the management API: upload, mapping, preview, start, rejected rows, undo."""

import asyncio
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import pytest_asyncio

from support.doors import Answer, Door, Token
from ums.core.context.app_context import AppContext
from ums.core.imports import drafts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


def workbook(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    held = BytesIO()
    book.save(held)
    return held.getvalue()


async def upload(
    door: Door, who: Token, content: bytes, name: str = "users.xlsx", **fields: str
) -> Answer:
    return await door.ask("POST", "/api/imports", who, files={"file": (name, content)}, data=fields)


async def until(door: Door, who: Token, id: int, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            body = (await door.get(f"/api/imports/{id}", who)).body
            if body["state"] in states:
                return body
            await asyncio.sleep(0.05)  # an import tells nobody when it is done


def counts(body: dict[str, Any]) -> tuple[int, ...]:
    return tuple(body[name] for name in ("added", "changed", "unchanged", "rejected"))


def copies(system: AppContext) -> list[Path]:
    folder = system.settings.data_dir / "imports"
    return list(folder.iterdir()) if folder.exists() else []


async def test_from_the_upload_to_the_undo(shared: Door, admin: Token) -> None:
    await shared.send("PUT", "/api/users/old1", {"tags": {"all": ["was"]}}, admin)
    await shared.send("PUT", "/api/users/old2", {"tags": {"all": ["was"]}}, admin)
    file = workbook(
        ["备注", "用户", "邮箱", "标签"],
        ["a note", "new1", "n1@import.example", "is"],
        ["", "old1", "", "is"],
        ["", "old2", "o2@import.example", "is"],
        ["", "new2", "nonsense", ""],
        [10**20, "new3", "n3@import.example", ""],
    )
    made = await upload(shared, admin, file, "人.xlsx")
    assert (made.status, made.body["state"], made.body["name"]) == (201, "draft", "人.xlsx")
    assert (made.body["columns"], made.body["size"]) == (["", "userid", "email", "tag"], 5)
    path = f"/api/imports/{made.body['id']}"
    shown = (await shared.get(f"{path}/preview", admin)).body
    assert shown["columns"][1] == {"letter": "B", "header": "用户", "holds": "userid"}
    assert shown["rows"][0] == ["a note", "new1", "n1@import.example", "is"]
    assert (await shared.get("/api/users/new1", admin)).status == 404
    started = await shared.post(f"{path}/start", b"", admin)
    assert started.body["state"] == "waiting"
    done = await until(shared, admin, made.body["id"], "done", "failed")
    assert (done["state"], counts(done)) == ("done", (2, 2, 0, 1))
    new = (await shared.get("/api/users/new1", admin)).body
    assert (new["addresses"], new["tags"]) == (
        {"email": {"all": ["n1@import.example"]}},
        {"all": ["is"]},
    )
    # Somebody changes one of them; the others are as before afterwards.
    await shared.send("PATCH", "/api/users/old2", {"add": {"tag": {"all": ["later"]}}}, admin)
    undoing = await shared.post(f"{path}/undo", b"", admin)
    assert undoing.body["state"] == "undoing"
    undone = await until(shared, admin, made.body["id"], "undone")
    assert (undone["undone"], undone["kept"]) == (3, 1)
    for gone in ("new1", "new3"):
        assert (await shared.get(f"/api/users/{gone}", admin)).status == 404
    old1, old2 = [(await shared.get(f"/api/users/old{n}", admin)).body for n in (1, 2)]
    assert (old1["tags"], old1["addresses"]) == ({"all": ["was"]}, {})
    # What was changed since stays; what was not goes.
    assert (old2["tags"], old2["addresses"]) == ({"all": ["is", "later"]}, {})
    again = await shared.post(f"{path}/undo", b"", admin)
    assert again.told == (409, 4004, "import_state")
    log = await shared.listed(f"/api/audit?subject={made.body['id']}", admin)
    told = [one["action"] for one in log if one["action"].startswith("import.")]
    assert told == ["import.undo", "import.start", "import.upload"]


async def test_rejected_rows_are_a_workbook(shared: Door, admin: Token) -> None:
    file = workbook(["userid", "email", "note"], ["r1", "bad", "=1+1"], ["r2", "r2@r.org", "x"])
    id = (await upload(shared, admin, file)).body["id"]
    await shared.post(f"/api/imports/{id}/start", b"", admin)
    assert counts(await until(shared, admin, id, "done")) == (1, 0, 0, 1)
    answer = await shared.get(f"/api/imports/{id}/rejects", admin)
    assert answer.status == 200
    assert answer.headers["content-disposition"].endswith(f'"import-{id}-rejected.xlsx"')
    sheet = openpyxl.load_workbook(BytesIO(answer.raw)).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[0] == ["userid", "email", "note", "row", "reason"]
    assert rows[1][:4] == ["r1", "bad", None, "2"]
    assert list(shared.system.settings.data_dir.glob("tmp*.xlsx")) == []


async def test_the_columns_can_be_chosen(shared: Door, admin: Token) -> None:
    file = "第一,第二,第三\nc1,c1@c.org,x\n".encode("gb18030")
    made = await upload(shared, admin, file, "列.csv")
    path = f"/api/imports/{made.body['id']}"
    assert made.body["columns"] == ["", "", ""]
    assert (await shared.post(f"{path}/start", b"", admin)).told == (400, 4004, "sheet_columns")
    for wrong in (["userid", "userid", ""], ["email"], ["userid", "colour"]):
        answer = await shared.send("PATCH", path, {"columns": wrong}, admin)
        assert answer.told == (400, 4004, "sheet_columns")
    bind = await shared.send("PATCH", path, {"bind_id": "nobody"}, admin)
    assert bind.told == (400, 4004, "bad_bind_id")
    channel = await shared.channel()
    given = {"columns": ["userid", "email", ""], "bind_id": channel.key}
    changed = await shared.send("PATCH", path, given, admin, If_Match=made.headers["etag"])
    assert changed.body["columns"] == given["columns"]
    stale = await shared.send("PATCH", path, given, admin, If_Match=made.headers["etag"])
    assert stale.status == 412
    await shared.post(f"{path}/start", b"", admin)
    await until(shared, admin, made.body["id"], "done")
    user = (await shared.get("/api/users/c1", admin)).body
    assert user["addresses"] == {"email": {channel.key: ["c1@c.org"]}}
    late = await shared.send("PATCH", path, given, admin)
    assert late.told == (409, 4004, "import_state")


async def test_sheet_header_and_columns_are_chosen(shared: Door, admin: Token) -> None:
    book = openpyxl.Workbook()
    book.active.append(["userid", "email"])  # type: ignore[union-attr]
    book.active.append(["n1", "n1@x.org"])  # type: ignore[union-attr]
    other = book.create_sheet("会员")
    for row in (["Members"], ["会员号", "City", "Mail"], ["n2", "Ulm", "n2@x.org"]):
        other.append(row)
    held = BytesIO()
    book.save(held)
    made = await upload(shared, admin, held.getvalue(), sheet="会员", header_row="2")
    told = {name: made.body[name] for name in ("sheet", "header_row", "columns", "size")}
    columns = ["userid", "user.city", "email"]
    assert told == {"sheet": "会员", "header_row": 2, "columns": columns, "size": 1}
    path = f"/api/imports/{made.body['id']}"
    seen = (await shared.get(f"{path}/preview", admin)).body
    assert (seen["sheet"], seen["header_row"], seen["top"][0]["row"]) == ("会员", 2, 1)
    changed = await shared.send("PATCH", path, {"sheet": "Sheet", "header_row": 1}, admin)
    assert (changed.body["sheet"], changed.body["columns"]) == ("Sheet", ["userid", "email"])
    back = await shared.send("PATCH", path, {"sheet": "会员"}, admin)
    assert (back.body["header_row"], back.body["columns"]) == (2, columns)
    wrong = await shared.send("PATCH", path, {"fields": {"Colour": "email"}}, admin)
    assert wrong.told == (400, 4004, "sheet_columns")
    given = {"fields": {"City": "user.town", "C": ""}}
    mapped = await shared.send("PATCH", path, given, admin)
    assert mapped.body["columns"] == ["userid", "user.town", ""]
    counted = (await shared.get(f"{path}/dry-run", admin)).body
    assert (counted["new"], counted["users"], counted["shared"]) == (1, 1, 0)
    await shared.post(f"{path}/start", b"", admin)
    await until(shared, admin, made.body["id"], "done")
    user = (await shared.get("/api/users/n2", admin)).body
    assert (user["attributes"], user["addresses"]) == ({"town": "Ulm"}, {})
    bare = await upload(shared, admin, held.getvalue(), header_row="0")
    assert (bare.body["header_row"], bare.body["size"]) == (0, 2)
    for header_row in ("-1", "1048577", "x"):
        bad = await upload(shared, admin, held.getvalue(), header_row=header_row)
        assert bad.status == 400


async def test_a_draft_is_thrown_away(shared: Door, admin: Token) -> None:
    before = set(copies(shared.system))
    made = await upload(shared, admin, b"userid\nu\n", "a.csv")
    assert len(set(copies(shared.system)) - before) == 1
    path = f"/api/imports/{made.body['id']}"
    assert (await shared.ask("DELETE", path, admin)).status == 204
    assert set(copies(shared.system)) == before
    assert (await shared.get(path, admin)).told == (404, 4004, "import_unknown")
    assert (await shared.ask("DELETE", path, admin)).status == 404


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "a.csv", "sheet_columns"),
        (b"PK\x03\x04nonsense", "a.xlsx", "sheet_unreadable"),
        (b"\xd0\xcf\x11\xe0", "a.xls", "sheet_unreadable"),
        (b"userid\n\x00\n", "a.csv", "sheet_unreadable"),
        (b"%PDF-1.7\nuserid\nA\n", "a.csv", "sheet_unreadable"),
        (b"{\\rtf1 userid\nA\n}", "a.csv", "sheet_unreadable"),
        (b"x," * 300, "a.csv", "sheet_limit"),
    ],
)
async def test_a_file_that_is_none(
    shared: Door, admin: Token, content: bytes, name: str, reason: str
) -> None:
    before = set(copies(shared.system))
    answer = await upload(shared, admin, content, name)
    assert answer.told == (400, 4004, reason)
    assert set(copies(shared.system)) == before


async def test_a_form_that_does_not_fit(shared: Door, admin: Token) -> None:
    csv = ("a.csv", b"userid\n")
    for files, data in (
        ([("file", csv), ("file", csv)], {}),
        ([("other", csv)], {}),
        ([("file", csv)], {"colour": "red"}),
        ([("file", (None, b"userid"))], {}),
    ):
        answer = await shared.ask("POST", "/api/imports", admin, files=files, data=data)
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    bind = await upload(shared, admin, b"userid\n", "a.csv", bind_id="nobody")
    assert bind.told == (400, 4004, "bad_bind_id")
    media = {"Content-Type": "multipart/form-data; boundary=b"}
    field = b'--b\r\nContent-Disposition: form-data; name="bind_id"\r\n%s\r\n\r\n\xff\r\n--b--\r\n'
    for kind in (b"Content-Type: text/plain; charset=utf-8", b"Content-Type: x/y; charset=none"):
        answer = await shared.ask(
            "POST", "/api/imports", admin, content=field % kind, headers=media
        )
        assert answer.status == 400, answer
    for body in (b"", b"--b", b"--b\r\nnonsense\r\n--b--"):
        answer = await shared.ask("POST", "/api/imports", admin, content=body, headers=media)
        assert answer.status == 400, answer


async def test_an_upload_that_is_too_large(shared: Door, admin: Token) -> None:
    most = shared.system.settings.import_limit_bytes
    answer = await upload(shared, admin, b"x" * (most + 1), "a.csv")
    assert answer.told == (400, 4004, "sheet_limit")
    answer = await upload(shared, admin, b"x" * (most + 100_000), "a.csv")
    assert answer.told == (413, 4004, "too_large")


async def test_imports_are_listed(shared: Door, admin: Token) -> None:
    made = [(await upload(shared, admin, b"userid\n", "l.csv")).body["id"] for _ in range(3)]
    listed = await shared.listed("/api/imports?state=draft", admin)
    assert [one["id"] for one in listed[:3]] == made[::-1]
    async with shared.system.database.read() as tx:
        done = await drafts.list_imports(tx, state="done")
    assert all(one.state == "done" for one in done.items)


async def test_why_rows_are_rejected_is_told_in_the_callers_language(
    shared: Door, admin: Token
) -> None:
    file = workbook(["userid", "email"], ["", "nobody"], ["b1", "no address"])
    for language, chinese in (("zh-CN", True), ("en", False)):
        made = await upload(shared, admin, file)
        path, header = f"/api/imports/{made.body['id']}", {"Accept-Language": language}
        counted = await shared.get(f"{path}/dry-run", admin, headers=header)
        told = [row["reason"] for row in counted.body["examples"]]
        await shared.post(f"{path}/start", b"", admin)
        await until(shared, admin, made.body["id"], "done")
        answer = await shared.ask("GET", f"{path}/rejects", admin, headers=header)
        sheet = openpyxl.load_workbook(BytesIO(answer.raw)).active
        assert sheet is not None
        told += [str(row[-1]) for row in sheet.iter_rows(min_row=2, values_only=True)]
        assert len(told) == 4
        assert {bool(re.search("[\u4e00-\u9fff]", one)) for one in told} == {chinese}
