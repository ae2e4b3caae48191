"""Commands of templates."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import AsJson, app, ask
from ums.cli.errors import fail

template = typer.Typer(help="Content with variables, per channel.", no_args_is_help=True)
app.add_typer(template, name="template")
COLUMNS = ("id", "name", "open", "version", "subject", "required", "updated_at")

Channel = Annotated[str, typer.Option(help="The ChannelKey it belongs to.")]
Number = Annotated[int, typer.Argument(help="Its id.", metavar="ID", min=1, max=MOST_ID)]
Html = Annotated[Path | None, typer.Option(help="A file with the HTML; - reads the input.")]
Text = Annotated[Path | None, typer.Option(help="A file with the text; else made of the HTML.")]
Mjml = Annotated[Path | None, typer.Option(help="A file with MJML, in place of HTML.")]
Default = Annotated[
    list[str] | None,
    typer.Option(help="NAME=VALUE, where nothing else gives a value; repeatable."),
]
Version = Annotated[
    int | None, typer.Option(help="A version, else the newest.", min=1, max=MOST_ID)
]
Userid = Annotated[str | None, typer.Option(help="A user whose attributes are used.")]
Para = Annotated[str | None, typer.Option(help="Values as a JSON object, as template_para.")]


@template.command("create")
def create(
    name: Annotated[str, typer.Option(help="1 to 60 characters.")],
    subject: Annotated[str, typer.Option(help="The subject; may have variables.")],
    channel: Channel,
    html: Html = None,
    text: Text = None,
    mjml: Mjml = None,
    default: Default = None,
    json: AsJson = False,
) -> None:
    """Make a template and show its id."""
    sources = {"html": _read(html), "text": _read(text), "mjml": _read(mjml)}
    made = ask(
        "template.create",
        channel=channel,
        name=name,
        subject=subject,
        defaults=_defaults(default),
        **sources,
    )
    _record(made, raw=json)


@template.command("update")
def update(
    id: Number,
    channel: Channel,
    name: Annotated[str | None, typer.Option(help="1 to 60 characters.")] = None,
    subject: Annotated[str | None, typer.Option(help="The subject; may have variables.")] = None,
    html: Html = None,
    text: Text = None,
    mjml: Mjml = None,
    derive_text: Annotated[
        bool, typer.Option(help="Make the text of the HTML from now on.")
    ] = False,
    default: Default = None,
    json: AsJson = False,
) -> None:
    """Change a template; what is not given stays. New sources or defaults make a new version."""
    given: dict[str, Any] = {
        "name": name,
        "subject": subject,
        "html": _read(html),
        "text": _read(text),
        "mjml": _read(mjml),
        "defaults": None if default is None else _defaults(default),
    }
    changes = {field: value for field, value in given.items() if value is not None}
    changed = ask("template.update", channel=channel, id=id, derive_text=derive_text, **changes)
    _record(changed, raw=json)


@template.command("list")
def list_templates(
    channel: Channel,
    after: Annotated[str | None, typer.Option(help="The `next` of the page before.")] = None,
    limit: Annotated[
        int, typer.Option(help="Templates on a page, at most 500.", min=1, max=500)
    ] = 100,
    json: AsJson = False,
) -> None:
    """The channel's templates."""
    page = ask("template.list", channel=channel, after=after, limit=limit)
    output.page(page, COLUMNS, raw=json)


@template.command("show")
def show_template(
    id: Number, channel: Channel, version: Version = None, json: AsJson = False
) -> None:
    """A template with its sources."""
    found = ask("template.show", channel=channel, id=id, version=version)
    _with_texts(found, ("html", "text", "mjml"), raw=json)


@template.command("preview")
def preview(
    id: Number,
    channel: Channel,
    version: Version = None,
    userid: Userid = None,
    para: Para = None,
    json: AsJson = False,
) -> None:
    """What a recipient would get, and which variables have no value."""
    values = _object(para)
    made = ask(
        "template.preview", channel=channel, id=id, version=version, userid=userid, para=values
    )
    _with_texts(made, ("html", "text"), raw=json)


@template.command("test")
def send_test(
    id: Number,
    channel: Channel,
    to: Annotated[str, typer.Option(help="The address it is sent to.")],
    version: Version = None,
    userid: Userid = None,
    para: Para = None,
    json: AsJson = False,
) -> None:
    """Send one mail, as a recipient would get it; a running server delivers it."""
    given = {"version": version, "userid": userid, "para": _object(para)}
    output.record(ask("template.test", channel=channel, id=id, to=to, **given), raw=json)


@template.command("open")
def open_template(id: Number, channel: Channel, json: AsJson = False) -> None:
    """Let the template be used again."""
    _record(ask("template.open", channel=channel, id=id), raw=json)


@template.command("close")
def close(id: Number, channel: Channel, json: AsJson = False) -> None:
    """Refuse requests for the template."""
    _record(ask("template.close", channel=channel, id=id), raw=json)


def _record(made: dict[str, Any], *, raw: bool) -> None:
    if not raw:
        made = {name: value for name, value in made.items() if name not in ("html", "mjml")}
        made = {name: value for name, value in made.items() if name != "text"}
    output.record(made, raw=raw)


def _with_texts(found: dict[str, Any], texts: tuple[str, ...], *, raw: bool) -> None:
    if raw:
        output.as_json(found)
        return
    shown = {name: found.pop(name) for name in texts}
    output.record(found, raw=False)
    for name, text in shown.items():
        if text is not None:
            output.out.print(f"\n{name}:")
            for line in text.splitlines():
                output.out.print("".join(char if char.isprintable() else " " for char in line))


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        raw = typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8 text")


def _defaults(given: list[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in given or []]
    for name, equals, _ in pairs:
        if not equals:
            fail(f"--default {name}: give it as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json_text.loads(text)
    except ValueError:
        fail("--para is not JSON")
    if not isinstance(value, dict):
        fail("--para is not a JSON object")
    return value
