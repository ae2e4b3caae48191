"""Users: the people that channels reach."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, lists, parted, refused, sort_of, whole
from ums.console.rendering import AnyRequest, go, page
from ums.core.audit import audit_log
from ums.core.common.field_errors import Check, all_of
from ums.core.common.identifiers import is_tag
from ums.core.common.pagination import number
from ums.core.deliveries import suppressions
from ums.core.reporting import reports
from ums.core.users import administration, bulk_actions, filters, segments, users
from ums.core.users.administration import UserDraft, UserInfo, UserOrder
from ums.core.users.bulk_actions import TagChange
from ums.core.users.entry_parser import read_attributes
from ums.core.users.fields import read_userid, read_value
from ums.core.users.filters import Found
from ums.core.users.search import FEW, LONGEST
from ums.core.users.visibility import bind_names
from ums.errors import Detail, Invalid, UmsError

FILTERS = ("search", "tag", "reach", "segment")
PAGE = 50
COUNTED = FEW  # more are told as "over 10,000"
NOWHERE = "-"  # no ChannelKey looks like this
FIELDS = {"set.attributes": "attributes"}  # fields of `core` by the form's names


@get("/users", scope="users:read", channels="own")
async def list_users(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    asked = {name: request.query_params.get(name, "").strip() for name in FILTERS}
    sort = sort_of(request, UserOrder, "created_at")
    wanted = _wanted(asked, visitor)
    async with system.database.read() as tx:
        where = await filters.where_of(tx, visitor.caller, wanted)
        found = await administration.page(
            tx,
            visitor.caller,
            where,
            sort=sort,
            after=request.query_params.get("after"),
            before=request.query_params.get("before"),
            limit=PAGE,
        )
        total = await filters.count(tx, where, most=COUNTED + 1)
    return page(
        request,
        "users/list.html",
        found=found,
        total=min(total, COUNTED),
        over=total > COUNTED,
        form=Form(asked),
        asked=asked,
        filtered=any(asked.values()),
        channels=[(key, name) for key, name in bind_names(visitor.caller).items() if name],
        sort=sort,
        segments=await _segments(system, visitor),
        nowhere=NOWHERE,
        told={"count": whole(request.query_params.get("done", "")) or 0},
    )


async def _segments(system: System, visitor: Visitor) -> Any:
    return await segments.list_segments(system) if visitor.caller.channels is None else []


def _wanted(asked: Mapping[str, str], visitor: Visitor) -> Found:
    reach: Any = asked["reach"] or None
    if reach is not None:
        reach = "nowhere" if reach == NOWHERE else visitor.caller.channel(reach)
    return Found(
        search=asked["search"][:LONGEST] or None,
        tag=asked["tag"] or None,
        reach=reach,
        segment=number(asked["segment"], "segment") if asked["segment"] else None,
    )


@post("/users-chosen", scope="users:write", channels="own")
async def change_chosen(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Give those that were ticked, or all that the filter finds, a tag, take one from them, or
    delete them, which is asked once more."""
    fields = await lists(request)
    asked = {name: fields.get(f"filter_{name}", [""])[-1].strip() for name in FILTERS}
    doing, tag = fields.get("doing", [""])[-1], fields.get("tag", [""])[-1].strip()
    back = _list_with(asked)
    every = bool(fields.get("every", [""])[-1])
    if every:
        chosen = await bulk_actions.find(system, visitor.caller, _wanted(asked, visitor))
    else:
        chosen = fields.get("userid", [])[:PAGE]
    if not chosen:
        audit_log.look()
        return go(back, "users.did_choose_none")
    if doing == "delete" and fields.get("sure", [""])[-1] != str(len(chosen)):
        # Asked again as well where more or fewer match than were told.
        visitor.caller.unbound()
        audit_log.look()
        return page(
            request, "users/delete.html", chosen=chosen, asked=asked, every=every, back=back
        )
    if doing == "delete":
        done = await bulk_actions.delete(system, visitor.caller, chosen)
        return go(_list_with(asked, done=str(done)), "users.did_delete_many")
    if not tag or doing not in ("add", "del"):
        audit_log.look()
        return go(back, "users.did_nothing")
    if not is_tag(tag):
        audit_log.look()
        return go(back, "users.did_refuse_tag")
    done = await bulk_actions.tag(system, visitor.caller, chosen, TagChange(doing, tag))
    return go(_list_with(asked, done=str(done)), "users.did_tag")


def _list_with(asked: Mapping[str, str], **more: str) -> str:
    """The address of the list as it was filtered."""
    query = urlencode({name: text for name, text in {**asked, **more}.items() if text})
    return f"/users?{query}" if query else "/users"


@get("/users/new", scope="users:write", channels="own")
async def new_user(request: AnyRequest, visitor: Visitor) -> Response[str]:
    binds = bind_names(visitor.caller)
    return page(request, "users/form.html", form=Form({"userid": ""}), user=None, binds=binds)


@post("/users", scope="users:write", channels="own")
async def create_user(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    fields, binds = await given(request), list(bind_names(visitor.caller))
    userid = fields.get("userid", "").strip()
    try:
        draft = _draft(fields, None, binds)
        await administration.put(system, visitor.caller, userid, draft, _is_new)
    except UmsError as error:
        others = [*await _flaws_of_userid(system, userid), *all_of(_checks(fields, binds))]
        values = {"userid": "", **_empty(binds), **fields}
        form = refused(request, values, error, FIELDS, others)
        return page(
            request,
            "users/form.html",
            status=error.status,
            form=form,
            user=None,
            binds=bind_names(visitor.caller),
        )
    return go(_page_of(userid), "users.did_create")


def _page_of(userid: str) -> str:
    # A userid may hold # and ￥, and no header holds the latter.
    return f"/users/{quote(userid, safe='')}"


def _is_new(found: object) -> None:
    if found is not None:
        raise Invalid("user_known", field="userid")


@get("/users/{userid:str}", scope="users:read", channels="own")
async def show_user(
    request: AnyRequest, system: System, visitor: Visitor, userid: FromPath[str]
) -> Response[str]:
    async with system.database.read() as tx:
        user = await administration.show(tx, visitor.caller, userid)
        after = request.query_params.get("after")
        history = await reports.of_user(tx, userid, visitor.caller.channels, after=after, limit=20)
        uses = _uses(user, list(bind_names(visitor.caller)))
        suppressed = await _suppressed(tx, visitor, uses)
    return page(
        request,
        "users/show.html",
        user=user,
        history=history,
        names=bind_names(visitor.caller),
        uses=uses,
        suppressed=suppressed,
    )


def _uses(user: UserInfo, binds: list[str]) -> dict[str, str]:
    """Which address each channel would use."""
    held = user.addresses.get("email", {})
    shared = "".join(held.get("all", [])[:1])
    return {key: "".join(held.get(key, [])[:1]) or shared for key in binds if key != "all"}


async def _suppressed(tx: Any, visitor: Any, uses: dict[str, str]) -> set[str]:
    """The channels that do not write to the address they would use."""
    channels = [visitor.caller.snapshot.channels[key] for key in uses]
    found = await suppressions.of_addresses(tx, channels, {one for one in uses.values() if one})
    return {one.key for one in channels if (one.id, uses[one.key]) in found}


@get("/users/{userid:str}/edit", scope="users:write", channels="own")
async def edit_user(
    request: AnyRequest, system: System, visitor: Visitor, userid: FromPath[str]
) -> Response[str]:
    async with system.database.read() as tx:
        user = await administration.show(tx, visitor.caller, userid)
    form = Form(_fields_of(user))
    binds = bind_names(visitor.caller)
    return page(request, "users/form.html", form=form, user=user, binds=binds)


@post("/users/{userid:str}", scope="users:write", channels="own")
async def change_user(
    request: AnyRequest, system: System, visitor: Visitor, userid: FromPath[str]
) -> Response[str]:
    async with system.database.read() as tx:
        user = await administration.show(tx, visitor.caller, userid)
    fields, binds = await given(request), bind_names(visitor.caller)
    try:
        await administration.put(system, visitor.caller, userid, _draft(fields, user, list(binds)))
    except UmsError as error:
        others, values = all_of(_checks(fields, list(binds))), {**_empty(list(binds)), **fields}
        form, status = refused(request, values, error, FIELDS, others), error.status
        return page(request, "users/form.html", status=status, form=form, user=user, binds=binds)
    return go(_page_of(userid), "users.did_change")


@post("/users/{userid:str}/delete", scope="users:write", channels="own")
async def delete_user(system: System, visitor: Visitor, userid: FromPath[str]) -> Response[str]:
    await administration.delete(system, userid, visitor.caller)
    return go("/users", "users.did_delete")


def _fields_of(user: UserInfo) -> dict[str, str]:
    fields = {f"email:{bind}": values[0] for bind, values in _emails(user).items() if values}
    fields |= {f"tags:{bind}": ", ".join(values) for bind, values in user.tags.items()}
    text = msgspec.json.format(msgspec.json.encode(user.attributes), indent=2).decode()
    return {**fields, "attributes": text if user.attributes else ""}


def _emails(user: UserInfo) -> dict[str, list[str]]:
    return user.addresses.get("email", {})


def _draft(fields: dict[str, str], user: UserInfo | None, binds: list[str]) -> UserDraft:
    """All of the user: what the form has no field for stays as it is."""
    addresses = dict(user.addresses) if user else {}
    emails, tags = dict(addresses.get("email", {})), dict(user.tags) if user else {}
    emails |= {bind: _email(fields, bind) for bind in binds if f"email:{bind}" in fields}
    tags |= {bind: _tags(fields, bind) for bind in binds if f"tags:{bind}" in fields}
    addresses["email"] = {bind: values for bind, values in emails.items() if values}
    return UserDraft(
        attributes=_attributes(fields.get("attributes", "")),
        addresses=addresses,
        tags={bind: values for bind, values in tags.items() if values},
    )


def _checks(fields: dict[str, str], binds: list[str]) -> list[Check]:
    """A check for each field but the userid."""
    return [
        *(partial(_email, fields, bind) for bind in binds),
        *(partial(_tags, fields, bind) for bind in binds),
        lambda: read_attributes(_attributes(fields.get("attributes", "")), "attributes"),
    ]


async def _flaws_of_userid(system: Any, userid: str) -> list[UmsError]:
    """What is wrong with the userid of a user that is to be made."""
    found = all_of([lambda: read_userid(userid)])
    if found:
        return found
    async with system.database.read() as tx:
        known = await users.find(tx, userid)
    return all_of([lambda: _is_new(known)])


def _empty(binds: list[str]) -> dict[str, str]:
    """The fields of the form but the userid."""
    fields = [f"{name}:{bind}" for name in ("email", "tags") for bind in binds]
    return dict.fromkeys([*fields, "attributes"], "")


def _email(fields: dict[str, str], bind: str) -> list[str]:
    name = f"email:{bind}"
    return _values("email", name, [fields.get(name, "").strip()])


def _tags(fields: dict[str, str], bind: str) -> list[str]:
    name = f"tags:{bind}"
    return _values("tag", name, parted(fields.get(name, "")))


def _values(kind: str, field: str, given: list[str]) -> list[str]:
    """What a field holds. Raises Invalid naming the form's field, which `core` does not know."""
    return [read_value(kind, one, field) for one in given if one]


def _attributes(text: str) -> dict[str, object]:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("misfit", field="attributes", detail=Detail("not_an_object")) from None


handlers = [
    list_users,
    change_chosen,
    new_user,
    create_user,
    show_user,
    edit_user,
    change_user,
    delete_user,
]
