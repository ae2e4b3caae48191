"""For which reasons the management API may refuse what fits its document."""

from collections.abc import Callable
from typing import Any

from support.contract import (
    Unsaid,
    any_text,
    bytes_over,
    odd_host,
    odd_zone,
    set_twice,
    unprintable,
    unstorable,
)

STATE = {
    "addressee_unreachable",
    "allowlist_unknown",
    "bad_bind_id",
    "bad_deliver_by",
    "blocklist_unknown",
    "callback_limit",
    "callback_password",
    "callback_taken",
    "callback_unknown",
    "callback_unverified",
    "channel_unknown",
    "checkpoint_foreign",
    "code_taken",
    "common_password",
    "import_elsewhere",
    "limit",
    "mailbox_port",
    "message_stopped",
    "name_taken",
    "no_sender",
    "not_found",
    "not_scheduled",
    "not_waiting",
    "password_again",
    "password_like_name",
    "past",
    "port_approval",
    "rule_known",
    "segment_unknown",
    "sender_not_authorised",
    "sender_type_other",
    "sender_unknown",
    "sheet_columns",
    "sheet_unreadable",
    "starts_in_past",
    "starts_too_late",
    "strategy_unknown",
    "template_missing",
    "template_unknown",
    "user_unknown",
    "webhook_insecure",
    "webhook_password",
    "webhook_password_again",
    "word_known",
}
"""Reasons that what is stored decides, or the time, and not the shape of the request."""


def asked(name: str) -> Callable[[Any], bool]:
    return lambda body: bool(isinstance(body, dict) and body.get(name))


def in_language(body: Any) -> bool:
    """Whether something of a template has to be read: a variable, MJML, a subject in bytes."""
    marked = any_text(lambda text: "{" in text or "<" in text)
    return marked(body) or isinstance(body.get("mjml"), str) or bytes_over(998)(body)


UNSAID: dict[str, Unsaid] = {
    "bad_address": Unsaid("counts bytes", bytes_over(254)),
    "bad_conditions": Unsaid("counts bytes of tags", bytes_over(40)),
    "bad_file_url": Unsaid("knows which hosts and ports there can be", odd_host),
    "bad_rule": Unsaid("does not know which zones there are", odd_zone),
    "bad_subject": Unsaid("decodes encoded words", bytes_over(998)),
    "bad_tag": Unsaid("counts bytes", bytes_over(40)),
    "bad_value": Unsaid(
        "does not know what is printable, nor the userid in the path",
        lambda body: unprintable(body) or (isinstance(body, dict) and "userid" in body),
    ),
    "bad_word": Unsaid(
        "does not know what is printable, or the same when it is folded",
        lambda body: unprintable(body) or bytes_over(100)(body),
    ),
    "callback_basic": Unsaid(
        "does not know the other of the pair, which is stored",
        lambda body: "url" not in body and (asked("username")(body) or asked("password")(body)),
    ),
    "callback_url": Unsaid("knows which hosts and ports there can be", odd_host),
    "cap_reset": Unsaid(
        "does not know which zones there are",
        lambda body: asked("caps")(body) or odd_zone(body),
    ),
    "caps_twice": Unsaid("does not compare members", asked("caps")),
    "control_characters": Unsaid(
        "has free JSON, and does not know what is printable",
        lambda body: unstorable(body) or unprintable(body),
    ),
    "host_shape": Unsaid("does not count labels", asked("host")),
    "misfit": Unsaid(
        "has free JSON, and knows neither header fields nor which files a text shows",
        lambda body: unstorable(body) or asked("headers")(body) or asked("attachments")(body),
    ),
    "missing": Unsaid(
        "does not know whether a password is stored, or who calls",
        lambda body: not (asked("password")(body) or asked("channel")(body)),
    ),
    "not_in_range": Unsaid(
        "does not compare members", lambda body: body.get("start", 50) > body["target"]
    ),
    "rule_text": Unsaid("does not know what is printable", unprintable),
    "twice": Unsaid("speaks of two places at once", set_twice),
    "template_source": Unsaid("knows neither the language of templates nor MJML", in_language),
    "template_empty": Unsaid(
        "does not know which other source is stored",
        lambda body: any(body.get(name, "") is None for name in ("html", "text", "mjml")),
    ),
}
