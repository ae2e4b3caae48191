"""Accepting messages: from a caller's request to a durable row (ums-spec 3.8)."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels import broadcast_quota
from ums.core.channels.channels import check_channel
from ums.core.common.idempotency import KEY_LIFE
from ums.core.content import materials
from ums.core.content.attachments import Attached, gather, material_ids
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages import compose, template_content
from ums.core.messages.acceptance_checks import Admission, admit, telling
from ums.core.messages.new_message import MessageRequest
from ums.core.messages.requests import SendRequest
from ums.core.messages.scheduling import check_times, expiry
from ums.core.messages.template_requests import TemplateRequest
from ums.core.tables import files
from ums.core.tables.states import OnUnknown
from ums.db import GroupCommit, Statement, Tx, rows_json, to_json
from ums.errors import Invalid, UmsError

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_INSERT = Statement(
    "INSERT INTO messages (msgid, channel_id, sender_id, audience, content, options, broadcast,"
    " origin, template_id, template_version, callback_id, event_mask, priority, on_unknown, state,"
    " cursor, audience_size, accepted_at, expires_at, black_id, white_id, halt, halted_at,"
    " starts_at,"
    " failover_allowed, asker_id, owner_id, requested_by, requested_from)"
    " SELECT msgid, channel_id, sender_id, audience, content, options, broadcast, origin,"
    " template_id, template_version, callback_id, event_mask, priority, on_unknown, 'accepted', 0,"
    " audience_size,"
    " accepted_at, expires_at, black_id, white_id, halt, halted_at, starts_at, failover_allowed,"
    " asker_id, owner_id, requested_by, requested_from"
    " FROM $rows(r: msgid text, channel_id bigint, sender_id bigint, audience text, content text,"
    " options text, broadcast boolean, origin text, template_id bigint, template_version int,"
    " callback_id bigint, event_mask int, priority smallint, on_unknown text, audience_size bigint,"
    " accepted_at bigint, expires_at bigint, black_id bigint, white_id bigint, halt text,"
    " halted_at bigint, starts_at bigint, failover_allowed boolean, asker_id bigint,"
    " owner_id bigint,"
    " requested_by text, requested_from text)"
    # SQLite needs the WHERE to tell a join's ON from the conflict clause; harmless elsewhere.
    " WHERE true RETURNING id, msgid"
)
_RESERVE = Statement(
    "INSERT INTO idempotency (channel_id, key, body_hash, msgid, created_at)"
    " SELECT channel_id, key, body_hash, msgid, created_at FROM $rows(r: channel_id bigint,"
    " key text, body_hash text, msgid text, created_at bigint) WHERE true"
    " ON CONFLICT (channel_id, key) DO UPDATE SET body_hash = excluded.body_hash,"
    " msgid = excluded.msgid, created_at = excluded.created_at"
    " WHERE idempotency.created_at < :horizon RETURNING msgid"
)
_KNOWN = Statement(
    "SELECT i.channel_id, i.key, i.body_hash, i.msgid, i.created_at FROM idempotency i"
    " JOIN $rows(r: channel_id bigint, key text)"
    " ON i.channel_id = r.channel_id AND i.key = r.key"
)


Command = SendRequest | TemplateRequest | MessageRequest
"""What may be asked for: a body of /v1 that was read, one by template, or a message in full."""


class Options(Struct, frozen=True, omit_defaults=True):
    """What the caller gave besides: echoed, or handed to callbacks."""

    sendno: str | None = None
    owner: str | None = None
    params: dict[str, Any] | None = None


class Draft(Struct):
    """A message on its way into the database."""

    channel_id: int
    channel: str  # its key
    admission: Admission
    request: SendRequest
    files: list[Attached]
    origin: str
    callback_id: int | None
    event_mask: int
    now: int
    by: audit_log.Acting  # who asked for it
    msgid: str = ""
    key: str | None = None  # the caller's Idempotency-Key
    body_hash: str = ""


class Accepted(Struct, frozen=True):
    """The answer to a request: the message is stored."""

    msgid: str
    sendno: str | None


class MessageIds:
    """Ids of the hosted UMS's shape: version, second, process, counter."""

    def __init__(self) -> None:
        self._process = secrets.randbelow(2**31)
        self._numbers = count(1)

    def next(self, now: int) -> str:
        return f"v:1t:{now // 1000}p:{self._process}n:{next(self._numbers)}"


class Intake:
    """The way in for messages; one per process, so that requests share commits."""

    def __init__(self, system: AppContext) -> None:
        self._system = system
        self._ids = MessageIds()
        self._group: GroupCommit[Draft, str] = GroupCommit(system.database, _store)

    async def accept(
        self,
        channel: Channel,
        command: Command,
        fingerprint: bytes,
        *,
        key: str | None = None,
        origin: str = "v1",
    ) -> Accepted:
        """Store the message that `command` asks for. Raises UmsError.

        `key` is the caller's Idempotency-Key: the same key with the same `fingerprint` (where it
        was sent to, and its body) within 24 h gives the same answer and no second message, also
        where the policy, a template or a file would no longer let it through.
        """
        check_key(key)
        body_hash = _hash(fingerprint) if key else ""
        sendno = command.request.sendno if isinstance(command, TemplateRequest) else command.sendno
        try:
            draft = await self._draft(channel, command, origin)
        except UmsError:
            msgid = await self._known(channel, key, body_hash)
            if msgid is None:
                raise
            return Accepted(msgid, sendno)
        draft.key, draft.body_hash = key, body_hash
        draft.msgid = self._ids.next(draft.now)
        msgid = await self._group.submit(draft)
        self._system.wake.set()
        return Accepted(msgid, sendno)

    async def _draft(self, channel: Channel, command: Command, origin: str) -> Draft:
        """The message as it is to be stored, when everything lets it through."""
        check_channel(channel)
        request = await _resolve(self._system, channel, command)
        check_times(request, clock.now())
        admission = await admit(self._system, channel, request, origin=origin)
        callback_id, event_mask = await telling(self._system, channel, request)
        return Draft(
            channel_id=channel.id,
            channel=channel.key,
            admission=admission,
            request=request,
            files=await gather(self._system, request.files) if request.files else [],
            origin=origin,
            callback_id=callback_id,
            event_mask=event_mask,
            now=clock.now(),
            by=audit_log.source(),
        )

    async def drain(self) -> None:
        await self._group.drain()

    async def _known(self, channel: Channel, key: str | None, body_hash: str) -> str | None:
        """The msgid that the same request was given before."""
        if key is None:
            return None
        async with self._system.database.read() as tx:
            row = await tx.first(_KNOWN, {"r": rows_json([(channel.id, key)])})
        if row is None or row.body_hash != body_hash:
            return None
        # A key about to end is taken for ended: the message might be stored after all.
        alive = row.created_at > clock.now() - KEY_LIFE + 10 * clock.MINUTE
        return str(row.msgid) if alive else None


async def _resolve(system: AppContext, channel: Channel, command: Command) -> SendRequest:
    """The request with its content: what a command names is looked up."""
    if isinstance(command, TemplateRequest):
        return await template_content.request_of(system, channel, command)
    if isinstance(command, MessageRequest):
        return await compose.request_of(system, channel, command)
    return command


def _hash(fingerprint: bytes) -> str:
    return hashlib.sha256(fingerprint).hexdigest()


def check_key(key: str | None) -> None:
    """Raises Invalid for what is no Idempotency-Key."""
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid("idempotency_key")


async def _store(tx: Tx, drafts: Sequence[Draft]) -> list[str | Exception]:
    """Write the drafts of many requests in one transaction; a msgid or an error for each."""
    answers = await _without_material(tx, drafts)
    keyed = [draft for draft in drafts if draft.key is not None and draft.msgid not in answers]
    answers |= await _repeats(tx, keyed)
    fresh = [draft for draft in drafts if draft.msgid not in answers]
    if fresh:
        await broadcast_quota.take(tx, [d.admission.quota for d in fresh if d.admission.quota])
        rows = await tx.rows(_INSERT, {"r": rows_json(_row(draft) for draft in fresh)})
        await _store_files(tx, fresh, {row.msgid: row.id for row in rows})
        await audit_log.note_all(tx, "message.send", [_noted(d) for d in fresh if _by_person(d)])
    return [answers.get(draft.msgid, draft.msgid) for draft in drafts]


def _by_person(draft: Draft) -> bool:
    """Whether the audit log tells of it: of what a channel's own key asks for, perhaps thousands a
    second, the message itself is the record."""
    return not draft.by.actor.startswith("channel:")


def _noted(draft: Draft) -> audit_log.Note:
    size: object = "everyone" if draft.request.broadcast else draft.request.audience.known_size
    detail: dict[str, Any] = {"channel": draft.channel, "by": draft.origin, "recipients": size}
    if draft.request.template_id is not None:
        detail["template"] = draft.request.template_id
    if draft.admission.halt:
        detail["waits_for"] = draft.admission.halt
    return audit_log.Note(draft.by, draft.msgid, detail)


async def _without_material(tx: Tx, drafts: Sequence[Draft]) -> dict[str, str | Exception]:
    """What to answer to the drafts one of whose materials went since they were looked at."""
    wanted = {draft.msgid: ids for draft in drafts if (ids := material_ids(draft.files))}
    if not wanted:
        return {}
    there = await materials.hold(tx, set().union(*wanted.values()))
    error = Invalid("material_unknown", field="files")
    return {msgid: error for msgid, ids in wanted.items() if not ids <= there}


async def _repeats(tx: Tx, drafts: list[Draft]) -> dict[str, str | Exception]:
    """What to answer to the drafts whose key is known; those that are new are not in it."""
    if not drafts:
        return {}
    first: dict[tuple[int, str], Draft] = {}
    for draft in drafts:
        first.setdefault(_id(draft), draft)
    # In key order, so that two processes never wait for each other crosswise.
    rows = [(*id, d.body_hash, d.msgid, d.now) for id, d in sorted(first.items(), key=_first)]
    params = {"r": rows_json(rows), "horizon": clock.now() - KEY_LIFE}
    new = {row.msgid for row in await tx.rows(_RESERVE, params)}
    known = await tx.rows(_KNOWN, {"r": rows_json(first)})
    stored = {(row.channel_id, row.key): row for row in known}
    return {
        draft.msgid: _repeated(draft, stored[_id(draft)])
        for draft in drafts
        if draft.msgid not in new
    }


def _first(pair: tuple[tuple[int, str], Draft]) -> tuple[int, str]:
    return pair[0]


def _id(draft: Draft) -> tuple[int, str]:
    return draft.channel_id, draft.key or ""


def _repeated(draft: Draft, stored: Any) -> str | Exception:
    if stored.body_hash != draft.body_hash:
        return Invalid("idempotency_reused")
    return str(stored.msgid)


def _row(draft: Draft) -> tuple[object, ...]:
    request = draft.request
    options = Options(
        sendno=request.sendno, owner=request.option.owner, params=request.callback.params
    )
    admission = draft.admission
    starts_at = max(draft.now, admission.starts_at)
    return (
        draft.msgid,
        draft.channel_id,
        admission.sender.id,
        to_json(request.audience),
        to_json(request.content),
        to_json(options),
        request.broadcast,
        draft.origin,
        request.template_id,
        request.template_version,
        draft.callback_id,
        draft.event_mask,
        request.priority,
        request.on_unknown or (OnUnknown.HOLD if request.broadcast else OnUnknown.RESEND),
        request.audience.known_size,
        draft.now,
        expiry(request, starts_at),
        request.option.black_id or None,
        request.option.white_id or None,
        admission.halt,
        draft.now if admission.halt else None,
        admission.starts_at,
        admission.failover_allowed,
        admission.asking.asker_id,
        admission.asking.owner_id,
        draft.by.actor,
        draft.by.address,
    )


async def _store_files(tx: Tx, drafts: list[Draft], ids: dict[str, int]) -> None:
    rows = [
        {"message_id": ids[draft.msgid], "position": position, **msgspec.structs.asdict(file)}
        for draft in drafts
        for position, file in enumerate(draft.files)
    ]
    if rows:
        await tx.run(insert(files), rows)
