"""Settings: what may be changed here, and what the server was started with."""

from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile

from ums.config import PREFIX, Settings, describe
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused
from ums.console.rendering import SAFE_HEADERS, YEAR, AnyRequest, go, page
from ums.core.common.field_errors import all_of
from ums.core.settings import branding, runtime_settings
from ums.core.settings.runtime_settings import ADJUSTABLE, Adjustable
from ums.errors import Invalid, UmsError

# The key itself, and a URL that may hold a password.
_SECRET: Final = tuple(
    f"{PREFIX}{name}" for name in ("SECRET_KEY", "DATABASE_URL", "ADMIN_PASSWORD")
)
GROUPS: Final = ("retention", "limits", "sending")


@get("/settings", scope="operators:read", channels="all", recent=True)
async def show_settings(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    return _settings(request, system, visitor)


def _settings(
    request: AnyRequest,
    system: Any,
    visitor: Any,
    *,
    form: Form | None = None,
    brand_form: Form | None = None,
    status: int = 200,
) -> Response[str]:
    brand = visitor.caller.snapshot.brand
    rows = [row for row in describe() if row[0].removeprefix(PREFIX).lower() not in _ADJUSTABLE]
    return page(
        request,
        "administration/settings.html",
        status=status,
        form=form or Form(_typed(system)),
        brand_form=brand_form or Form({"brand": brand.name, "logo": ""}),
        groups={group: [one for one in ADJUSTABLE if one.group == group] for group in GROUPS},
        fixed=system.fixed_settings,
        settings=[_setting(system.settings, *row) for row in rows],
    )


@post("/settings", scope="admin", channels="all", recent=True)
async def change_settings(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Those that the environment does not set; an empty field is the default."""
    fields = await given(request)
    open_ones = [one for one in ADJUSTABLE if one.name not in system.fixed_settings]
    typed = {one.name: fields[one.name].strip() for one in open_ones if one.name in fields}
    try:
        changes = {one.name: _read(one, typed[one.name]) for one in open_ones if one.name in typed}
        await runtime_settings.change(system, changes, actor=visitor.caller.name)
    except UmsError as error:
        others = all_of(partial(_check, system, one, typed) for one in open_ones)
        form = refused(request, {**_typed(system), **typed}, error, others=others)
        return _settings(request, system, visitor, form=form, status=error.status)
    return go("/settings", "administration.did_settings")


@post("/settings/brand", scope="operators:write", channels="all", body="upload", recent="/settings")
async def change_brand(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The name and the picture at the head of each page."""
    fields, data = await given(request), await request.form()
    file: Any = data.get("logo")
    name = fields.get("brand", "").strip()
    logo = None
    if isinstance(file, UploadFile) and file.filename:
        logo = await file.read(branding.MOST_LOGO + 1)
    try:
        remove = "remove_logo" in fields
        await branding.change(system, name=name, logo=logo, remove_logo=remove)
    except UmsError as error:
        others = branding.errors_of(name, logo)
        form = refused(request, {"brand": name, "logo": ""}, error, others=others)
        return _settings(request, system, visitor, brand_form=form, status=error.status)
    return go("/settings", "administration.did_brand")


@get("/brand/logo", scope="open")
async def show_logo(system: System) -> Response[bytes]:
    """Its address carries a digest, so a browser need not ask again."""
    kind, picture = await branding.picture(system)
    headers = {**SAFE_HEADERS, "Cache-Control": f"public, max-age={YEAR}, immutable"}
    return Response(picture, media_type=kind, headers=headers)


_ADJUSTABLE: Final = {one.name for one in ADJUSTABLE}


def _typed(system: Any) -> dict[str, str]:
    """The settings as their fields show them."""
    return {one.name: _text(one, getattr(system.settings, one.name)) for one in ADJUSTABLE}


def _text(one: Adjustable, value: Any) -> str:
    return value if isinstance(value, str) else f"{value / one.unit:.10g}"


def _read(one: Adjustable, typed: str) -> Any:
    if not typed:
        return None
    if one.unit == 1:
        return typed
    if not typed.isascii() or not typed.isdigit() or len(typed) > 9:
        raise Invalid("bad_value", field=one.name)
    return int(typed) * one.unit


def _check(system: Any, one: Adjustable, typed: dict[str, str]) -> None:
    """Raises Invalid for what was typed for this one."""
    if one.name in typed:
        runtime_settings.checked(system, one.name, _read(one, typed[one.name]))


def _setting(held: Settings, name: str, _kind: str, default: str, _about: str) -> dict[str, Any]:
    key = name.removeprefix(PREFIX).lower()
    value = str(getattr(held, key))
    changed = value != default
    if name in _SECRET:
        value = "•••" if changed else value
    return {"name": name, "key": key, "value": value, "default": default, "changed": changed}


handlers = [show_settings, change_settings, change_brand, show_logo]
