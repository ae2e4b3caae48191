"""Words that messages must not hold, of all channels and of one."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, sort_of
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels import content_filter
from ums.core.channels.content_filter import WordOrder
from ums.core.context.directory import Channel
from ums.errors import UmsError


@get("/words", scope="channels:read", channels="all")
async def list_words(request: AnyRequest, system: System) -> Response[str]:
    """The words of all channels."""
    return await _words(request, system, None, Form({"word": "", "exempt": ""}))


@get("/channels/{key:str}/words", scope="channels:read", channels="own")
async def channel_words(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    """The words of one channel, and those that it may use all the same."""
    channel = visitor.caller.channel(key)
    return await _words(request, system, channel, Form({"word": "", "exempt": ""}))


async def _words(
    request: AnyRequest, system: Any, channel: Channel | None, form: Form, status: int = 200
) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, WordOrder, "created_at")
    found = await content_filter.list_words(system, channel, sort=sort, after=after, limit=100)
    base = "/words" if channel is None else f"/channels/{channel.key}/words"
    return page(
        request,
        "channels/words.html",
        status=status,
        found=found,
        sort=sort,
        channel=channel,
        form=form,
        base=base,
    )


@post("/words", scope="channels:write", channels="all")
async def add_word(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    return await _add(request, system, visitor, None)


@post("/channels/{key:str}/words", scope="channels:write", channels="own")
async def add_channel_word(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    return await _add(request, system, visitor, visitor.caller.channel(key))


async def _add(
    request: AnyRequest, system: Any, visitor: Any, channel: Channel | None
) -> Response[str]:
    fields = await given(request)
    values = {"word": fields.get("word", "").strip(), "exempt": fields.get("exempt", "")}
    exempt = bool(values["exempt"]) and channel is not None
    actor = visitor.caller.name
    try:
        await content_filter.add(system, values["word"], channel, exempt=exempt, actor=actor)
    except UmsError as error:
        error.values.setdefault("field", "word")
        form = refused(request, values, error)
        return await _words(request, system, channel, form, error.status)
    where = "/words" if channel is None else f"/channels/{channel.key}/words"
    return go(where, "channels.did_add_word")


@post("/words/{id:int}/delete", scope="channels:write", channels="all")
async def remove_word(system: System, visitor: Visitor, id: FromPath[int]) -> Response[str]:
    word = await content_filter.word_of(system, id)
    await content_filter.remove(system, word, actor=visitor.caller.name)
    return go("/words", "channels.did_remove_word")


@post("/channels/{key:str}/words/{id:int}/delete", scope="channels:write", channels="own")
async def remove_channel_word(
    system: System, visitor: Visitor, key: FromPath[str], id: FromPath[int]
) -> Response[str]:
    channel = visitor.caller.channel(key)
    word = await content_filter.word_of(system, id, channel)
    await content_filter.remove(system, word, channel, actor=visitor.caller.name)
    return go(f"/channels/{channel.key}/words", "channels.did_remove_word")


handlers = [list_words, channel_words, add_word, add_channel_word, remove_word, remove_channel_word]
