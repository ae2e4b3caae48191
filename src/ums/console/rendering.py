"""What all pages share: rendering, response headers, the bundle of scripts and styles."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.datastructures import CacheControlHeader, Cookie
from litestar.response import Stream
from litestar.static_files import create_static_files_router
from markupsafe import Markup

from ums import clock
from ums.console import cookies as jar
from ums.console.current_operator import current
from ums.console.i18n import HTML_LANG, LANGUAGES, WORDS, Words, asked_language, language_of
from ums.console.menu import help_of, menu_of
from ums.console.stream_guard import watched
from ums.console.time_zones import time_words
from ums.core.context.branding_data import Brand
from ums.core.reporting import reason_texts

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
YEAR: Final = 365 * 24 * 3600

AnyRequest = Request[Any, Any, Any]
_PASSING: Final = ("did", "done", "lang")  # parameters that are for one look only

SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_HEADERS: Final = SAFE_HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Vary": "Accept-Language, Cookie",
}


async def _unguessed(response: Any) -> Any:
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


# The bundle's names carry a hash of their content, so a browser never needs to ask again.
static_files: Final = create_static_files_router(
    path="/static",
    directories=[STATIC],
    cache_control=CacheControlHeader(public=True, max_age=YEAR, immutable=True),
    after_request=_unguessed,
)


def asset(name: str) -> str:
    """Where the bundle has the file `name` of frontend/src; a dead link when nothing is built."""
    try:
        names: dict[str, str] = json.loads((STATIC / "manifest.json").read_bytes())
    except FileNotFoundError:
        names = {}
    return f"/static/{names.get(name, name)}"


def size_words(size: int) -> str:
    """A number of bytes for people, in decimal units (kB, MB)."""
    if size < 1000:
        return f"{size} B"
    number = size / 1000
    for unit in ("kB", "MB"):
        if number < 999.95:
            return f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def number_words(number: float) -> str:
    """1234567 as 1,234,567; of what is not whole, no more digits than anybody reads."""
    if isinstance(number, float):
        number = round(number) if number >= 10 else round(number, 1)
    return f"{number:,}".removesuffix(".0")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        iso=clock.iso, size=size_words, short=time_words, number=number_words
    )
    shared: Any = environment.globals  # typed after Jinja's own entries only
    shared.update(asset=asset, languages=LANGUAGES, html_lang=HTML_LANG)
    return environment


TEMPLATES: Final = _environment()
_STREAM: Final = Markup("<!-- stream -->")


def page(
    request: AnyRequest,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
    **values: object,
) -> Response[str]:
    """The page `template` makes of `values`, in the reader's language."""
    return Response(
        render(request, template, **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers={**PAGE_HEADERS, **(headers or {})},
        cookies=[*_remembered(request), *cookies],
    )


def render(request: AnyRequest, template: str, **values: object) -> str:
    """The HTML that `template` makes of `values`: a page, or a piece of one."""
    language = language_of(request)
    visitor = current(request)
    return TEMPLATES.get_template(template).render(
        t=Words(language),
        language=language,
        cause=reason_texts.about,
        meaning=partial(reason_texts.meaning, language=language),
        remedy=partial(reason_texts.remedy, language=language),
        section=_section(request.url.path),
        switch=_switches(request),
        visitor=visitor,
        brand=request.scope["state"].get("brand") or Brand(),
        menu=menu_of(visitor),
        help=help_of(request.url.path),
        did=_did(request),
        query=_query(request),
        **{"page_zone": visitor.zone if visitor else "", "told": {}, **values},
    )


def streamed(
    request: AnyRequest, template: str, pieces: AsyncGenerator[str], **values: object
) -> Stream:
    """A page that grows: where `template` says `{{ stream }}`, the pieces appear as they come.

    Plain HTML that arrives slowly, so it needs no script.
    """
    whole = render(request, template, stream=_STREAM, **values)
    head, _, tail = whole.partition(_STREAM)

    async def parts() -> AsyncGenerator[str]:
        yield head
        async for piece in watched(request, pieces):
            yield piece
        yield tail

    # A proxy that collects the answer first (nginx) would spoil it.
    headers = {**PAGE_HEADERS, "X-Accel-Buffering": "no"}
    return Stream(parts(), media_type=MediaType.HTML, headers=headers)


def go(where: str, did: str = "", cookies: Sequence[Cookie] = ()) -> Response[str]:
    """To another page after something was done; `did` is a word of ours that it shows."""
    path, mark, anchor = where.partition("#")
    if did:
        path += ("&" if "?" in path else "?") + f"did={quote(did)}"
    return Response(
        "",
        status_code=303,
        media_type=MediaType.HTML,
        headers={"Location": path + mark + anchor, **SAFE_HEADERS},
        cookies=list(cookies),
    )


def problem(
    request: AnyRequest,
    status: int,
    title: str,
    text: str,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    """A page that says what went wrong; `title` and `text` are in the reader's language."""
    return page(request, "problem.html", status=status, headers=headers, title=title, text=text)


def _switches(request: AnyRequest) -> dict[str, str]:
    """For each language the address of this same page in it."""
    kept = [
        (key, value) for key, value in request.query_params.multi_items() if key not in _PASSING
    ]
    return {code: f"?{urlencode([*kept, ('lang', code)])}" for code in LANGUAGES}


def _section(path: str) -> str:
    """Which entry of the menu a page belongs to: /channels/KEY/templates/7 is the templates'."""
    parts = path.split("/")
    if parts[3:4] == ["templates"]:
        return "templates"
    return "senders" if parts[1] == "webhook-senders" else parts[1]


def _did(request: AnyRequest) -> str:
    """The word of what was just done; never a text of somebody's choosing."""
    word = request.query_params.get("did", "")
    return word if word in WORDS and "did_" in word else ""


def _query(request: AnyRequest) -> Callable[..., str]:
    """Makes addresses of this same page with other parameters: `query(after=...)`. One that is
    None or empty is left out."""
    given = {key: value for key, value in request.query_params.items() if key not in _PASSING}

    def query(**changes: object) -> str:
        left = {**given, **changes}
        kept = {key: value for key, value in left.items() if value not in (None, "")}
        return f"?{urlencode(kept)}" if kept else request.scope["path"]

    return query


def _remembered(request: AnyRequest) -> list[Cookie]:
    language = asked_language(request)
    if language is None:
        return []
    return [jar.make(request, jar.LANGUAGE, language, YEAR)]
