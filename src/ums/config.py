"""Settings: every knob of UMS with its type, its default and what it means.

Each setting is read from the environment as `UMS_` plus its name in capitals. Nothing else in
UMS reads the environment.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta, Struct

PREFIX = "UMS_"


def _about(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class SettingsError(ValueError):
    """A setting of the environment cannot be used; the text says which one and why."""


class Settings(Struct, frozen=True, kw_only=True):
    """All settings. Times are seconds, sizes are bytes unless a name says otherwise."""

    host: Annotated[str, _about("Address the web server listens on.")] = "127.0.0.1"
    port: Annotated[
        int, _about("Port the web server listens on; 0 takes a free one.", ge=0, le=65535)
    ] = 8080
    trusted_proxies: Annotated[
        str,
        _about(
            "Addresses and networks (CIDR, comma) of reverse proxies; forwarded headers count from"
            " these alone. Empty trusts none."
        ),
    ] = ""
    proxy_hops: Annotated[
        int, _about("Trusted proxies between the client and UMS at most.", ge=1, le=10)
    ] = 1
    proxy_headers: Annotated[
        str,
        _about(
            "The headers of trusted proxies: `x-forwarded` (X-Forwarded-For, -Proto, -Host, -Port)"
            " or `forwarded` (RFC 7239). The other kind is ignored.",
            pattern="^(x-forwarded|forwarded)$",
        ),
    ] = "x-forwarded"
    http_connections: Annotated[
        int, _about("Connections to the web server at the same time at most.", ge=1)
    ] = 800
    http_connections_per_address: Annotated[
        int,
        _about(
            "The same of one client (an IPv4 address, the /64 of an IPv6 one);"
            " trusted proxies are not limited so.",
            ge=1,
        ),
    ] = 200
    http_head_seconds: Annotated[
        float, _about("Longest time a request's head may take, from its first byte.", gt=0)
    ] = 10.0
    data_dir: Annotated[
        Path, _about("Folder of the SQLite database, the key file and uploads; made when absent.")
    ] = Path("var")
    database_url: Annotated[
        str,
        _about("`postgresql://user:password@host/name`; empty means SQLite in the data folder."),
    ] = ""
    secret_key: Annotated[
        str,
        _about(
            "32 bytes in base64 that encrypt stored secrets, or several such keys with commas"
            " between, the oldest first; empty means the data folder's key file."
        ),
    ] = ""
    log_level: Annotated[
        str,
        _about("`debug`, `info`, `warning` or `error`.", pattern="^(debug|info|warning|error)$"),
    ] = "info"
    log_format: Annotated[
        str,
        _about(
            "`json` (one object a line), `text`, or `auto`: text on a terminal.",
            pattern="^(json|text|auto)$",
        ),
    ] = "auto"
    admin_password: Annotated[
        str,
        _about(
            "Password of `admin`, whom the first start makes. Empty means a random one, shown on"
            " the terminal or else left in `first-start.txt` in the data folder."
        ),
    ] = ""
    demo: Annotated[
        bool, _about("On the first start, create the demo channel and the sandbox sender.")
    ] = True
    lease_seconds: Annotated[
        float, _about("A worker that has not reported for this long is taken for dead.", gt=0)
    ] = 25.0
    shutdown_seconds: Annotated[
        float, _about("How long a graceful stop waits for mail that is at the dot.")
    ] = 12.0
    unknown_retry_seconds: Annotated[
        float,
        _about("How long after an unknown outcome a transactional mail is sent again, once."),
    ] = 75.0
    smtp_sessions: Annotated[
        int,
        _about(
            "SMTP sessions at the same time at most, per sender and process; urgent mail may have a"
            " fifth more.",
            ge=1,
        ),
    ] = 5
    smtp_session_messages: Annotated[
        int, _about("Mails one SMTP session carries before it ends.", ge=1)
    ] = 100
    sender_ports: Annotated[
        str,
        _about(
            "Ports besides 25, 80, 443, 465, 587 and 2525 that need no approval (comma).",
            pattern=r"^(\d{1,5}( ?, ?\d{1,5})*)?$",
        ),
    ] = ""
    ca_file: Annotated[
        str,
        _about(
            "A PEM file with certificates of authorities of your own, which are believed besides"
            " the system's: by senders, mailboxes, callbacks and downloads."
        ),
    ] = ""
    ehlo_name: Annotated[
        str,
        _about(
            "The name that senders give in EHLO; empty means this machine's full name, or else an"
            " address literal.",
            pattern=r"^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f.:IPv]{2,60}\])?$",
        ),
    ] = ""
    smtp_connect_seconds: Annotated[
        float, _about("Wait for a TCP or TLS connection to a server.")
    ] = 20.0
    smtp_command_seconds: Annotated[float, _about("Wait for a server's reply to a command.")] = 60.0
    smtp_data_seconds: Annotated[
        float, _about("Wait for the reply after a mail's end (RFC 5321 4.5.3.2.6).")
    ] = 600.0
    body_limit_bytes: Annotated[int, _about("Largest request body of the API.")] = 10 * 1024 * 1024
    body_seconds: Annotated[float, _about("Longest time a request's body may take.")] = 60.0
    attachments_limit_bytes: Annotated[
        int, _about("Largest attachments of one mail, in total.")
    ] = 20 * 1024 * 1024
    public_url: Annotated[
        str,
        _about(
            "Where callers reach this server, such as `https://ums.example.com`; it begins the"
            " URLs of materials. Empty means host and port. UMS needs a host name of its own: it"
            " cannot be served below a path.",
            pattern=r"^(https?://[^\s/?#@\\]+/?)?$",
        ),
    ] = ""
    material_limit_bytes: Annotated[int, _about("Largest material.")] = 20 * 1024 * 1024
    materials_limit_bytes: Annotated[
        int, _about("What all materials together may take; each counts 65536 at least.")
    ] = 2 * 1024 * 1024 * 1024
    material_seconds: Annotated[
        float, _about("Longest time the upload of a material may take.")
    ] = 300.0
    fetch_seconds: Annotated[float, _about("Wait for one attachment URL.")] = 15.0
    fetch_allow: Annotated[
        str, _about("Networks (CIDR, comma) attachments may come from although they are private.")
    ] = ""
    callback_allow: Annotated[
        str,
        _about(
            "Networks (CIDR, comma) callbacks and webhook senders may reach although they are"
            " private, at any port."
        ),
    ] = ""
    callback_batch_size: Annotated[
        int, _about("Most records of one callback; so many go at once.", ge=1, le=1000)
    ] = 100
    callback_batch_seconds: Annotated[
        float, _about("How long a record waits for others to share its callback.")
    ] = 10.0
    callback_concurrency: Annotated[
        int, _about("Callback addresses told at the same time, per process.", ge=2)
    ] = 50
    two_factor_roles: Annotated[
        str,
        _about(
            "Roles that have to sign in to the console with a second factor: `administrator`,"
            " `operator`, `viewer` (comma). Empty requires it of none.",
            pattern=("^((administrator|operator|viewer)( ?, ?(administrator|operator|viewer))*)?$"),
        ),
    ] = ""
    dead_callback_retention_days: Annotated[
        float, _about("Days for which callbacks that nobody took are kept, to be replayed.")
    ] = 30.0
    done_callback_retention_days: Annotated[
        float, _about("Days for which callbacks that were taken are kept.")
    ] = 3.0
    message_retention_days: Annotated[
        float,
        _about(
            "Days for which messages that are over are kept, with their deliveries and attempts;"
            " 0 is for ever."
        ),
    ] = 0.0
    audit_retention_days: Annotated[
        float, _about("Days for which the audit log is kept; 0 is for ever.")
    ] = 0.0
    import_rows: Annotated[int, _about("Most rows of one uploaded spreadsheet.")] = 100_000
    import_limit_bytes: Annotated[int, _about("Largest uploaded spreadsheet.")] = 20 * 1024 * 1024
    import_seconds: Annotated[
        float, _about("Longest time the reading of a spreadsheet may take.")
    ] = 300.0
    import_memory_bytes: Annotated[int, _about("Memory the reading of a spreadsheet may take.")] = (
        512 * 1024 * 1024
    )
    sandbox_keep: Annotated[int, _about("Mails the sandbox keeps; older ones are removed.")] = 1_000
    fail_point: Annotated[
        str, _about("For tests only: the named place at which a worker kills itself.")
    ] = ""

    @property
    def is_sqlite(self) -> bool:
        return not self.database_url

    @property
    def base_url(self) -> str:
        """Where callers reach this server, without a slash at its end."""
        return self.public_url.rstrip("/") or listening_url(self.host, self.port)


def listening_url(host: str, port: int) -> str:
    """The URL of what listens on `host` and `port`, as seen from this machine."""
    # What listens everywhere is reached from this machine by the loopback address.
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's own).

    Raises SettingsError for a value of the wrong type and for an unknown `UMS_` name, which is
    most often a typing error that would otherwise pass unseen.
    """
    source = os.environ if environ is None else environ
    names = {f"{PREFIX}{field.upper()}": field for field in Settings.__struct_fields__}
    given = {name: value for name, value in source.items() if name.startswith(PREFIX)}
    unknown = sorted(name for name in given if name not in names and name not in NOT_SETTINGS)
    if unknown:
        raise SettingsError(f"{unknown[0]} is not a setting of UMS; see docs/reference/settings.md")
    hints = get_type_hints(Settings, include_extras=True)
    fields: dict[str, Any] = {}
    for name, value in given.items():
        if name in names and value != "":
            fields[names[name]] = _read(name, value, hints[names[name]])
    return Settings(**fields)


NOT_SETTINGS = {"UMS_TEST_DATABASE_URL"}
"""Names of the same prefix that belong to the test suite."""


def read_setting(field: str, value: str) -> Any:
    """The value of one setting, by its name in `Settings`. Raises SettingsError."""
    hints = get_type_hints(Settings, include_extras=True)
    return _read(f"{PREFIX}{field.upper()}", value, hints[field])


def _read(name: str, value: str, kind: Any) -> Any:
    base, about = kind.__origin__, kind.__metadata__[0]
    if base is Path:
        return Path(value)
    try:
        read = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        read = None
    # No setting has a use for a negative number, for infinity or for what is no number at all.
    if read is None or (base in (int, float) and not 0 <= read < math.inf):
        wanted = _WANTED.get(base, "")
        raise SettingsError(f"{name}={value!r} cannot be used{wanted}. {about.description}")
    return read


_WANTED = {
    int: ": it takes a whole number",
    float: ": it takes a number",
    bool: ": it takes true or false",
}


def terminal_language(environ: Mapping[str, str] | None = None) -> str:
    """The language that whoever sits at the terminal reads: "zh" or "en"."""
    source = os.environ if environ is None else environ
    locale = source.get("LC_ALL") or source.get("LANG") or ""
    return "zh" if locale.startswith("zh") else "en"


def describe() -> list[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of every setting, in order; the reference page's rows."""
    rows: list[tuple[str, str, str, str]] = []
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    for field in Settings.__struct_fields__:
        base, about = hints[field].__origin__, hints[field].__metadata__[0]
        default = str(getattr(defaults, field))
        rows.append((f"{PREFIX}{field.upper()}", base.__name__, default, about.description or ""))
    return rows
