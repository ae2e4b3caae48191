"""Attachments given as URLs: fetched when a message is accepted (ums-spec 3.7).

The caller learns of a failure in coarse words only, so that UMS is of no use as a port scanner;
the log has the reason. Addresses are judged in `guard`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import unquote

import httpcore
import httpx
import structlog

from ums.config import Settings
from ums.core.content.file_names import disposition_name, name_and_type
from ums.core.net.http_client import (
    Headers,
    Unreached,
    exchange,
    header_fields,
    octets,
    parse_url,
    within,
)
from ums.core.net.ssrf_guard import Guard, GuardedNetwork, parse_networks
from ums.errors import Detail, Invalid, TooLarge
from ums.mail.mime.builder import File

log = structlog.get_logger()

MAX_FILES: Final = 10
MAX_REDIRECTS: Final = 3

FIELD: Final = "msg_email[0].files"
_REDIRECTS: Final = {301, 302, 303, 307, 308}


class _Refused(Exception):
    """The file cannot be had; the detail is for the caller."""

    def __init__(self, detail: Detail) -> None:
        super().__init__(detail)
        self.detail = detail


class _Budget:
    """The bytes that the files of a message may still take, together."""

    def __init__(self, limit: int, taken: int) -> None:
        self.limit = limit
        self._left = limit
        self.take(taken)

    def check(self, announced: int) -> None:
        if announced > self._left:
            raise TooLarge("files_too_large", limit=self.limit)

    def take(self, size: int) -> None:
        self.check(size)
        self._left -= size


async def fetch_files(
    urls: Sequence[str],
    settings: Settings,
    *,
    fields: Sequence[str] | None = None,
    taken: int = 0,
) -> list[File]:
    """The files at `urls`, in their order; they are fetched at the same time.

    Each may take `settings.fetch_seconds`, all together `settings.attachments_limit_bytes` less
    those that are `taken`. `fields` are their places in the request, for errors. Raises
    Invalid (too_many, bad_file_url, file_refused), TooLarge (files_too_large), and SettingsError
    when `settings.fetch_allow` is wrong.
    """
    if len(urls) > MAX_FILES:
        raise Invalid("too_many", field=FIELD, limit=MAX_FILES)
    fields = fields or [f"{FIELD}[{number}]" for number in range(len(urls))]
    parsed = [_checked(url, field) for url, field in zip(urls, fields, strict=True)]
    guard = Guard(parse_networks(settings.fetch_allow))
    budget = _Budget(settings.attachments_limit_bytes, taken)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_fetch_in_time(url, field, guard, budget, settings.fetch_seconds))
                for url, field in zip(parsed, fields, strict=True)
            ]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # the first to fail; the others were cancelled
    return [task.result() for task in tasks]


def _checked(text: str, field: str) -> httpx.URL:
    try:
        return parse_url(text)
    except ValueError:
        raise Invalid("bad_file_url", field=field) from None


async def _fetch_in_time(
    url: httpx.URL, field: str, guard: Guard, budget: _Budget, seconds: float
) -> File:
    try:
        return await within(seconds, guard, lambda network: _follow(url, network, budget))
    except (Unreached, _Refused) as error:
        detail, cause = error.detail, error.__cause__ or error
    # The host alone: a URL's path and query may be a secret.
    log.info("file_refused", host=url.host, detail=str(detail), cause=repr(cause))
    raise Invalid("file_refused", field=field, detail=detail)


async def _follow(url: httpx.URL, network: GuardedNetwork, budget: _Budget) -> File:
    for _ in range(MAX_REDIRECTS + 1):
        found = await _get(url, network, budget)
        if isinstance(found, File):
            return found
        url = found
    raise _Refused(Detail("web_redirects"))


async def _get(url: httpx.URL, network: GuardedNetwork, budget: _Budget) -> File | httpx.URL:
    """The file, or where it is said to be."""
    async with exchange(network, "GET", url) as response:
        headers = header_fields(response.headers)
        if response.status in _REDIRECTS:
            return _redirect(url, headers)
        _check(response.status, headers, budget)
        data = await _body(response, budget)
    return _file(url, headers, data)


def _redirect(url: httpx.URL, headers: Headers) -> httpx.URL:
    try:
        return parse_url(str(url.join(headers["location"])))
    except (KeyError, ValueError, httpx.InvalidURL):
        raise _Refused(Detail("web_redirect_url")) from None


def _check(status: int, headers: Headers, budget: _Budget) -> None:
    if status != 200:
        raise _Refused(Detail("web_answered", status=status))
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise _Refused(Detail("web_compressed"))  # 10 kB of which may be 10 MB
    budget.check(int(headers.get("content-length", "0")))


async def _body(response: httpcore.Response, budget: _Budget) -> bytes:
    body = bytearray()
    async with aclosing(octets(response)) as chunks:
        async for chunk in chunks:
            budget.take(len(chunk))
            body += chunk
    return bytes(body)


def _file(url: httpx.URL, headers: Headers, data: bytes) -> File:
    last = url.raw_path.split(b"?")[0].rpartition(b"/")[2].decode("ascii")
    names = (disposition_name(headers.get("content-disposition", "")), unquote(last))
    return File(*name_and_type(names, headers.get("content-type", "")), data)
