"""The OpenAPI 3.1 document of the management API, and where it is served.

Litestar finds the routes and their parameters. The shapes of bodies and answers come from msgspec,
which also checks them, so the document says exactly what is accepted. What every route shares
(errors, Idempotency-Key, If-Match, ETag, credentials) is added here and not at each route.
"""

from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.routes import HTTPRoute

from ums import __version__
from ums.api.management.middleware import OPEN
from ums.api.problem_details import MEDIA_TYPE, Problem
from ums.bounds import MOST_ID
from ums.core.common.timestamps import MOMENT
from ums.core.imports.columns import HeaderRow
from ums.core.users import condition_shape

Connection = ASGIConnection[Any, Any, Any, Any]
_ABOUT = """What UMS does, for programs: channels, senders, users, messages, statistics.

Credentials: a token (`Authorization: Bearer ums_...`), or a channel's key and MasterSecret
(Basic), which sees and changes only what is the channel's. Lists come in parts (`limit`,
`after`). Times are ISO 8601 in UTC. A POST with an `Idempotency-Key` is done once.
"""
_STATUSES = {
    400: "The request cannot be understood.",
    401: "No credentials, or wrong ones.",
    403: "The caller may not do this.",
    404: "There is none, or it is not the caller's.",
    405: "There is no such method here; Allow names those that there are.",
    408: "The body, or the head, did not arrive in time.",
    409: "What is there stands against it, or the first request is still being answered.",
    412: "It was changed since the caller looked (If-Match).",
    413: "The body is too large.",
    415: "The body has another media type than this route takes.",
    422: "The Idempotency-Key was used with another request.",
    429: "Too many requests.",
    431: "More than 32 KiB of head, 100 header fields or 8 KiB of URL.",
    500: "Our fault.",
    503: "Try again.",
}
_ID = {"minimum": 1, "maximum": MOST_ID}


def document(app: Litestar) -> dict[str, Any]:
    """The OpenAPI document as plain values; made once."""
    made: dict[str, Any] | None = app.state.get("api_document")
    if made is None:
        # As it travels: a default may be a tuple, which JSON has not.
        made = msgspec.json.decode(msgspec.json.encode(_document(app)), type=dict[str, Any])
        app.state.api_document = made
    return made


def _document(app: Litestar) -> dict[str, Any]:
    drawn: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    routes = [one for one in app.routes if isinstance(one, HTTPRoute)]
    operations = [
        (route, method.lower(), handler)
        for route in routes
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and handler.resolve_include_in_schema()
    ]
    shapes = _shapes([handler for _, _, handler in operations])
    for route, method, handler in operations:
        operation = drawn["paths"][route.path_format][method]
        if handler.opt["takes"] == "multipart/form-data":
            _inline(operation["requestBody"], drawn["components"]["schemas"])
        _complete(operation, method, handler, shapes)
    drawn["components"] = {
        "schemas": {**shapes.components, **condition_shape.COMPONENTS},
        "responses": {str(status): _problem(text) for status, text in _STATUSES.items()},
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "`ums_...`"},
            "channel": {"type": "http", "scheme": "basic", "description": "key:MasterSecret"},
        },
    }
    return drawn


class _Shapes:
    """msgspec's schemas of the types that routes take and give."""

    def __init__(self, types: list[Any]) -> None:
        found, components = msgspec.json.schema_components(
            types, ref_template="#/components/schemas/{name}"
        )
        self.components: dict[str, Any] = dict(sorted(components.items()))
        for component in self.components.values():
            _mark_times(component.get("properties", {}))
        self._of = {repr(type): schema for type, schema in zip(types, found, strict=True)}

    def of(self, type: Any) -> Any:
        return self._of[repr(type)]


def _mark_times(properties: dict[str, Any]) -> None:
    """Say of texts that are times that they are (RFC 3339): by their names, of which a test holds
    every answer to the rule; of those that callers give also how they are read."""
    for name, schema in properties.items():
        for one in schema.get("anyOf", [schema]):
            if one.get("format") == "date-time":
                one["pattern"] = MOMENT
        if name.endswith(("_at", "_until")) or name == "at":
            for one in schema.get("anyOf", [schema]):
                if one.get("type") == "string":
                    one.setdefault("format", "date-time")


def _shapes(handlers: list[HTTPRouteHandler]) -> _Shapes:
    wanted: dict[str, Any] = {repr(Problem): Problem}
    for handler in handlers:
        for one in (_given(handler), _taken(handler)):
            if one is not None:
                wanted[repr(one)] = one
    return _Shapes(list(wanted.values()))


def _given(handler: HTTPRouteHandler) -> Any:
    """The type of a good answer's JSON; None where it has none."""
    if handler.opt.get("gives", MediaType.JSON) != MediaType.JSON:
        return None
    field = handler.parsed_return_field
    if field.is_subclass_of(Response):
        field = field.inner_types[0]
    return None if field.annotation in (None, type(None)) else field.raw


def _taken(handler: HTTPRouteHandler) -> Any:
    field = handler.parsed_data_field
    return field.raw if field is not None and handler.opt["takes"] == MediaType.JSON else None


def _complete(
    drawn: dict[str, Any], method: str, handler: HTTPRouteHandler, shapes: _Shapes
) -> None:
    words = (handler.fn.__doc__ or "").strip()
    drawn["tags"] = [_noun(handler)]
    drawn["operationId"] = handler.handler_name
    drawn["summary"], _, rest = words.partition("\n\n")
    drawn["description"] = " ".join(f"{words}\n\nNeeds `{handler.opt['scope']}`.".split(" "))
    drawn["security"] = [{"token": [handler.opt["scope"]]}, {"channel": []}]
    if not rest:
        drawn["description"] = f"Needs `{handler.opt['scope']}`."
    drawn.pop("deprecated", None)
    _parameters(drawn, method)
    if "requestBody" in drawn and (taken := _taken(handler)) is not None:
        drawn["requestBody"]["content"] = {"application/json": {"schema": shapes.of(taken)}}
    _responses(drawn, method, handler, shapes)


def _noun(handler: HTTPRouteHandler) -> str:
    """Under which heading it stands: that of its file."""
    file = handler.fn.__module__.rpartition(".")[2]
    return "messages" if file in ("sending", "stops") else file


def _inline(body: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Put Litestar's own schema of a form in place: msgspec has none for an uploaded file."""
    content = body["content"]["multipart/form-data"]
    schema = content["schema"]
    found = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for one in found["properties"].get("header_row", {}).get("oneOf", []):
        if one.get("type") == "integer":  # Litestar leaves its bounds out
            one.update(msgspec.json.schema(HeaderRow))
    content["schema"] = {**found, "additionalProperties": False}


def _parameters(drawn: dict[str, Any], method: str) -> None:
    named = [_parameter(one) for one in drawn.get("parameters", [])]
    if method == "post":
        text = "1 to 255 visible ASCII characters; the same key gives the same answer for a day."
        named.append(_header("Idempotency-Key", text, "^[\\x21-\\x7e]{1,255}$"))
    if method in ("put", "patch", "delete"):
        named.append(
            _header("If-Match", "The ETag that was seen; 412 when it is not that any more.")
        )
    if named:
        drawn["parameters"] = named


def _parameter(drawn: dict[str, Any]) -> dict[str, Any]:
    schema = drawn["schema"]
    choices = [one for one in schema.pop("oneOf", []) if one != {"type": "null"}]
    if choices:
        schema.update(choices[0])  # a parameter is there or not; it is never null
    for limit in ("minimum", "maximum"):
        if limit in schema:
            schema[limit] = int(schema[limit])
    if schema.get("format") == "date-time":
        schema["pattern"] = MOMENT
    elif schema.get("type") == "string" and "enum" not in schema:
        schema["pattern"] = "^[^\\x00]*$"
    if drawn["in"] == "path":
        schema |= {"minLength": 1} if schema["type"] == "string" else _ID
    kept = {
        name: drawn[name] for name in ("name", "in", "description", "required") if name in drawn
    }
    return {**kept, "schema": schema}


def _header(name: str, text: str, pattern: str = "") -> dict[str, Any]:
    schema = {"type": "string", **({"pattern": pattern} if pattern else {})}
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _responses(
    drawn: dict[str, Any], method: str, handler: HTTPRouteHandler, shapes: _Shapes
) -> None:
    status = str(handler.status_code)
    good = drawn["responses"][status]
    good["description"] = "Done."
    good.pop("headers", None)
    gives = handler.opt.get("gives", MediaType.JSON)
    if handler.status_code == 204:
        good.pop("content", None)
    else:
        # What is no JSON has no shape: a workbook, or a stream of events.
        schema: dict[str, Any] = {} if gives != MediaType.JSON else shapes.of(_given(handler))
        good["content"] = {str(getattr(gives, "value", gives)): {"schema": schema}}
    found = {status: good}
    tagged = handler.parsed_return_field.is_subclass_of(Response) and gives == MediaType.JSON
    if tagged and handler.status_code != 204:
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "For If-Match."}}
        if method == "get":
            found["304"] = {"description": "It is as the caller's If-None-Match names it."}
        if method == "put":
            found["201"] = {**good, "description": "Made."}
    for number in _STATUSES:
        if _can(number, method):
            found[str(number)] = {"$ref": f"#/components/responses/{number}"}
    drawn["responses"] = found


def _can(status: int, method: str) -> bool:
    if status == 422:
        return method == "post"
    if status == 412:
        return method in ("put", "patch", "delete")
    return status not in (409, 413, 415) or method != "get"


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}


class _Json(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        return super().render(request, document(request.app))


class _Yaml(YamlRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        return super().render(request, document(request.app))


async def _no_more(connection: Connection, _: BaseRouteHandler) -> None:
    # Litestar answers what lies beneath with a page of its own.
    if "path" in connection.path_params:
        raise NotFoundException


def config() -> OpenAPIConfig:
    """Where the document is served: `/api/schema`, and as YAML at `/api/schema/openapi.yaml`."""
    return OpenAPIConfig(
        title="UMS management API",
        version=__version__,
        description=_ABOUT,
        render_plugins=[_Json(path=["/", "/openapi.json"], media_type=MediaType.JSON), _Yaml()],
        openapi_router=Router(
            "/api/schema",
            route_handlers=[],
            guards=[_no_more],
            opt={"scope": OPEN},
            include_in_schema=False,
        ),
    )
