"""What others wrote is shown and never obeyed: names, subjects, files, servers' replies."""

import re
from pathlib import Path
from typing import Any

from console.conftest import Visit, settled
from support.doors import Door
from ums.console import rendering
from ums.console.i18n import LANGUAGES, WORDS
from ums.core.channels import channels
from ums.core.messages import audience_preview
from ums.core.messages.audience_preview import LOSSES
from ums.core.reporting.reason_texts import REASONS
from ums.core.senders import senders
from ums.core.senders.senders import NewSender

EVIL = "\"'><img src=x onerror=alert(1)>"
TEMPLATES = Path(rendering.__file__).parent / "html"
USED = re.compile(r"""\bt\(\s*["']([\w.]+)["']\s*[,)]""")
SOURCES = sorted(Path(rendering.__file__).parent.rglob("*.py"))


async def test_nothing_that_is_shown_breaks_out(door: Door, visit: Visit) -> None:
    visitor = await visit()
    made = await channels.create(door.system, EVIL[:30], "evil")
    reply = f"550 5.1.1 {EVIL}\r\n".encode()
    door.smtp.script["RCPT"] = lambda call: reply
    sender = NewSender(
        code="main",
        name=EVIL[:30],
        host="127.0.0.1",
        port=door.smtp.port,
        encryption="none",
        from_address="a@sender.example",
        from_name="<img src=x>",
        channels=["evil"],
        allow_port=True,
    )
    await senders.create(door.system, sender)
    user = {
        "userid": "evil",
        "attributes": {"note": EVIL},
        "email": {"all": "evil@example.org"},
    }
    await door.post("/v1/user/opt", [user], await door.access_key())
    body = {"recipients": [{"userid": "evil"}], "subject": EVIL, "html": f"<p>{EVIL}</p>"}
    basic = ("evil", str(made.mastersecret))
    msgid = (await door.post("/api/messages", body, basic)).body["msgid"]

    async def failed() -> bool:
        counts = (await door.get(f"/api/messages/{msgid}", basic)).body["counts"]
        return bool(counts.get("failed"))

    await settled(failed)
    delivery = (await door.get(f"/api/messages/{msgid}/deliveries", basic)).body["items"][0]["id"]
    files = {"file": (f"{EVIL}.csv", b"userid,email\nx,<img src=x>\n")}
    draft = await visitor.post("/imports", files=files, data={"bind_id": "all"})
    fields = {"channel": "evil", "to": "people", "people": EVIL, "with": "html", "subject": EVIL}
    refused = await visitor.post("/send", data={**fields, "body": EVIL})
    assert refused.status_code == 400
    fields["people"] = "evil"
    kept = await visitor.post("/send", data={**fields, "body": EVIL})
    seen = [refused.text]
    for path in (
        *("/home", "/channels", "/channels/evil", "/senders", "/senders/main", "/users"),
        *("/senders/main/edit", "/users/evil", "/users/evil/edit", "/messages", "/imports"),
        *(f"/messages/{msgid}", f"/deliveries/{delivery}", draft.headers["location"]),
        *(kept.headers["location"], kept.headers["location"].removesuffix("/check"), "/send"),
        f"/users?search={EVIL}",
        f"/login?next={EVIL}",
    ):
        answer = await visitor.get(path)
        assert answer.status_code in (200, 303), path
        seen.append(answer.text)
    for text in seen:
        assert "<img src=x" not in text
    assert sum("&lt;img src=x" in text for text in seen) > 10
    framed = await visitor.get(kept.headers["location"].removesuffix("/check") + "/mail")
    assert "sandbox" in framed.headers["content-security-policy"]
    assert "script-src" not in framed.headers["content-security-policy"]


async def test_an_export_has_no_formulas(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    users: list[dict[str, Any]] = [{"userid": "=1+1"}, {"userid": "@SUM"}]
    await door.post("/v1/user/opt", users, await door.access_key())
    recipients = [{"userid": "=1+1"}, {"userid": "@SUM"}]
    body = {"recipients": recipients, "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    await door.done(msgid, channel)
    text = (await visitor.get(f"/messages/{msgid}/deliveries.csv")).text
    assert text.startswith("\ufeffid,userid")
    assert "'=1+1" in text
    assert "'@SUM" in text
    assert not re.search(r"(^|,)[=@]", text, re.MULTILINE)


def test_every_loss_before_sending_has_words() -> None:
    assert {f"send.loss_{reason}" for reason in LOSSES} <= set(WORDS)
    assert set(LOSSES) <= set(REASONS)
    counted = re.findall(r"THEN '(\w+)'", Path(audience_preview.__file__).read_text("utf-8"))
    assert {*counted, "duplicate"} == set(LOSSES)


def test_every_word_that_a_page_uses_is_there_and_every_word_is_used() -> None:
    html = {path: path.read_text("utf-8") for path in TEMPLATES.rglob("*.html")}
    used = {key for text in html.values() for key in USED.findall(text)}
    missing = {key for key in used if not key.endswith((".", "_")) and key not in WORDS}
    assert missing == set()
    everything = " ".join([*html.values(), *(path.read_text("utf-8") for path in SOURCES)])
    parts = set(re.findall(r"[\w.]+", everything))
    unused = {key for key in WORDS if not _is_used(key, parts)}
    assert unused == set()


def _is_used(key: str, parts: set[str]) -> bool:
    """Whether the key stands somewhere, or a beginning or end of it that is put together there."""
    pieces = {key[: at + 1] for at, char in enumerate(key) if char in "_."}
    ends = {key.removesuffix(end) for end in ("_title", "_text", "_about")}
    return not parts.isdisjoint({key, key.partition(".")[2], *pieces, *ends})


def test_both_languages_fill_in_the_same_values() -> None:
    for key, told in WORDS.items():
        assert set(told) - {"en_one"} == set(LANGUAGES), key
        names = [sorted(re.findall(r"\{(\w+)\}", told[language])) for language in LANGUAGES]
        assert names[0] == names[1], key
