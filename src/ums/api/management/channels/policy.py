"""What a channel is held to: its rules, and words it must not use."""

from typing import Annotated, Any

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, Paging, System, expected, partly, shown
from ums.bounds import SAYS, said
from ums.core.channels import channels, content_filter
from ums.core.channels.content_filter import Word, WordOrder
from ums.core.channels.policy import RulesShown, show, with_changes
from ums.core.common.pagination import Page
from ums.core.context.channel_policy import ChannelPolicy
from ums.web.bodies import BoundedRequest as Call

Patched = Annotated[dict[str, Any], partly(ChannelPolicy)]


class NewWord(Struct, frozen=True, forbid_unknown_fields=True):
    """A word that must not be used."""

    word: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="With a letter, a digit or a sign in it."),
        said(pattern=SAYS),
    ]


class NewOwnWord(NewWord, frozen=True, forbid_unknown_fields=True):
    """A word that this channel must not use, or alone may."""

    exempt: Annotated[bool, Meta(description="The channel may use it after all.")] = False


@get("/api/channels/{key:str}/rules", scope="channels:read", channels="own")
async def show_rules(
    system: System, caller: Caller, request: Call, key: FromPath[str]
) -> Response[RulesShown]:
    """Quiet hours, caps, quotas, approval, and which records the channel is told."""
    return shown(request, show(await channels.rules_of(system, caller.channel(key).key)))


@patch("/api/channels/{key:str}/rules", scope="channels:write", channels="own")
async def change_rules(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    data: JSONBody[Patched],
) -> Response[RulesShown]:
    """Change those that are named; null brings back the default. Those that protect others from the
    channel's own people (`approval`, `approval_by_hand`, `approval_from`, `key_replaces_shared`,
    `bound_replace_shared`) need `admin`, and all channels."""
    expect = expected(request)
    changed = await channels.change_rules(
        system,
        caller.channel(key).key,
        lambda rules: with_changes(rules, data),
        expect=lambda rules: expect(show(rules)),
    )
    return shown(request, show(changed))


@get("/api/words", scope="channels:read", channels="own")
async def list_words(
    system: System, paging: Paging, sort: FromQuery[WordOrder] = "created_at"
) -> Page[Word]:
    """The words that no channel may use."""
    return await content_filter.list_words(
        system, sort=sort, after=paging.after, limit=paging.limit
    )


@post("/api/words", scope="channels:write", channels="all")
async def add_word(system: System, caller: Caller, data: JSONBody[NewWord]) -> Word:
    """Forbid a word to every channel."""
    return await content_filter.add(system, data.word, actor=caller.name)


@delete("/api/words/{word_id:int}", scope="channels:write", channels="all")
async def remove_word(system: System, caller: Caller, word_id: FromPath[int]) -> None:
    """Allow it again."""
    await content_filter.remove(
        system, await content_filter.word_of(system, word_id), actor=caller.name
    )


@get("/api/channels/{key:str}/words", scope="channels:read", channels="own")
async def list_own_words(
    system: System,
    caller: Caller,
    paging: Paging,
    key: FromPath[str],
    sort: FromQuery[WordOrder] = "created_at",
) -> Page[Word]:
    """The channel's own words, forbidden and exempt ones."""
    channel = caller.channel(key)
    return await content_filter.list_words(
        system, channel, sort=sort, after=paging.after, limit=paging.limit
    )


@post("/api/channels/{key:str}/words", scope="channels:write", channels="own")
async def add_own_word(
    system: System, caller: Caller, key: FromPath[str], data: JSONBody[NewOwnWord]
) -> Word:
    """Forbid a word to the channel, or allow it what every other must not use."""
    channel = caller.channel(key)
    return await content_filter.add(
        system, data.word, channel, exempt=data.exempt, actor=caller.name
    )


@delete("/api/channels/{key:str}/words/{word_id:int}", scope="channels:write", channels="own")
async def remove_own_word(
    system: System, caller: Caller, key: FromPath[str], word_id: FromPath[int]
) -> None:
    """Take it back."""
    channel = caller.channel(key)
    word = await content_filter.word_of(system, word_id, channel)
    await content_filter.remove(system, word, channel, actor=caller.name)


handlers = [
    show_rules,
    change_rules,
    list_words,
    add_word,
    remove_word,
    list_own_words,
    add_own_word,
    remove_own_word,
]
