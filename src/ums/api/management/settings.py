"""Settings that administrators may change while UMS runs."""

from typing import Annotated, Any

from litestar import Response, get, patch
from litestar.params import JSONBody
from msgspec import Struct

from ums.api.management.dependencies import Caller, System, expected, shown
from ums.bounds import said
from ums.core.settings import runtime_settings
from ums.core.settings.runtime_settings import ADJUSTABLE, Setting, shape_of
from ums.errors import Invalid
from ums.web.bodies import BoundedRequest as Call

Changed = Annotated[
    dict[str, Any],
    said(
        properties={one.name: {"anyOf": [shape_of(one), {"type": "null"}]} for one in ADJUSTABLE},
        additionalProperties=False,
    ),
]
_TEXTS = frozenset(one.name for one in ADJUSTABLE if shape_of(one).get("type") == "string")


class SettingsShown(Struct, frozen=True):
    """Times in days, sizes in bytes."""

    settings: list[Setting]


@get("/api/settings", scope="operators:read", channels="all")
async def show_settings(system: System, request: Call) -> Response[SettingsShown]:
    """What is kept for how long, how much may come at once, and the ports of senders."""
    return shown(request, SettingsShown(runtime_settings.show(system)))


@patch("/api/settings", scope="admin", channels="all")
async def change_settings(
    system: System, caller: Caller, request: Call, data: JSONBody[Changed]
) -> Response[SettingsShown]:
    """Change those that are named, all or none; null brings back the default."""
    expected(request)(SettingsShown(runtime_settings.show(system)))
    for name, value in data.items():  # elsewhere people type numbers, here they are sent
        if value is not None and isinstance(value, str) is not (name in _TEXTS):
            raise Invalid("bad_value", field=name[:60])
    changed = await runtime_settings.change(system, data, actor=caller.name)
    return shown(request, SettingsShown(changed))


handlers = [show_settings, change_settings]
