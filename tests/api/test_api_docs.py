"""The documentation page of the management API: all of it, offline, under the strict policy."""

import re

from support import openapi
from support.doors import Door
from ums.console.rendering import PAGE_HEADERS, STATIC


async def test_every_operation_and_shape_is_on_the_page(shared: Door) -> None:
    answer = await shared.get("/api/docs")
    assert answer.status == 200
    page = answer.raw.decode()
    found = openapi.the_document()
    for method, path, operation in openapi.operations(found):
        assert f'id="{operation["operationId"]}"' in page
        assert f'<span class="method">{method}</span> <code>{path}</code>' in page
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert {f"shape-{name}" for name in found["components"]["schemas"]} <= anchors
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= anchors
    assert len(re.findall(r'id="([^"]+)"', page)) == len(anchors)


async def test_the_page_needs_nothing_from_elsewhere(shared: Door) -> None:
    answer = await shared.get("/api/docs")
    for name, value in PAGE_HEADERS.items():
        assert answer.headers[name] == value
    page = answer.raw.decode()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|style=|\son\w+=", page)
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert (STATIC / path.removeprefix("/static/")).exists()
        assert (await shared.get(path)).status == 200


async def test_the_page_speaks_chinese(shared: Door) -> None:
    page = (await shared.get("/api/docs?lang=zh")).raw.decode()
    assert "管理 API" in page
    assert 'lang="zh-CN"' in page


async def test_no_other_page_loads_its_style(shared: Door) -> None:
    assert "reference" in (await shared.get("/api/docs")).raw.decode()
    assert "reference-" not in (await shared.get("/sandbox")).raw.decode()
