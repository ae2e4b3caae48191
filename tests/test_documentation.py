"""The papers say what the code does: settings, commands, routes, codes, reasons and links.

Run as a program, it writes the tables of settings and of the management API's operations anew.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from litestar.routes import HTTPRoute

from support.doors import idle_application
from ums.cli import app
from ums.config import describe
from ums.console.middleware import Door
from ums.core.deliveries.transitions import TRANSITIONS
from ums.core.reporting.reason_texts import REASONS
from ums.errors import CODES, WORDS, UmsError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAPERS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
OPERATIONS = "<!-- operations: begin -->\n", "<!-- operations: end -->\n"
MOVES = "<!-- transitions: begin -->\n", "<!-- transitions: end -->\n"
TALKING = (
    "api/**/*.py",
    "core/identity/credentials.py",
    "core/messages/acceptance_checks.py",
    "core/messages/requests.py",
)
TALKING += (
    "core/messages/intake.py",
    "core/content/attachment_fetcher.py",
    "core/users/users.py",
    "core/user_*.py",
)
TALKING += (
    "core/reporting/reports.py",
    "core/messages/template_content.py",
    "core/messages/template_requests.py",
)
TALKING += (
    "core/reporting/reports.py",
    "core/messages/control.py",
    "core/messages/resend.py",
    "core/messages/scheduling.py",
)
TALKING += ("core/reporting/reports.py", "core/content/attachments.py", "core/material*.py")
"""The modules whose errors callers of the API can meet."""
UNSEEN = {"local_token"}  # the local door's, which is no API
UNSEEN |= {"no_material", "file_missing"}  # of commands
UNSEEN |= {"too_many_users"}  # of the console


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def settings_table() -> str:
    rows = ["| Setting | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, kind, default, meaning in describe():
        rows.append(f"| `{name}` | {kind} | {f'`{default}`' if default else 'empty'} | {meaning} |")
    return "\n".join(rows) + "\n"


def test_every_setting_is_in_the_table() -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0]
    assert shown == settings_table(), f"run `.venv/bin/python {named(Path(__file__))}`"


def transitions_table() -> str:
    rows = ["| Transition | From | To | When |", "| --- | --- | --- | --- |"]
    for one in TRANSITIONS:
        ends = (
            ", ".join(f"`{state}`" for state in states) for states in (one.sources, one.targets)
        )
        rows.append(f"| {one.name} | {' | '.join(ends)} | {one.when} |")
    return "\n".join(rows) + "\n"


def test_every_transition_is_in_the_table() -> None:
    page = (REFERENCE / "delivery-states.md").read_text("utf-8")
    shown = page.partition(MOVES[0])[2].partition(MOVES[1])[0]
    assert shown == transitions_table(), f"run `.venv/bin/python {named(Path(__file__))}`"


def operations_table() -> str:
    rows = ["| Operation | Scope | |", "| --- | --- | --- |"]
    routes = [one for one in idle_application().routes if isinstance(one, HTTPRoute)]
    for route in sorted(routes, key=lambda one: one.path):
        if route.path.startswith("/api/") and not route.path.startswith("/api/schema/"):
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            for method, (handler, _) in sorted(route.route_handler_map.items()):
                if method != "OPTIONS":
                    text = " ".join((handler.fn.__doc__ or "").strip().split("\n\n")[0].split())
                    rows.append(f"| `{method} {path}` | `{handler.opt['scope']}` | {text} |")
    return "\n".join(rows) + "\n"


def test_every_operation_is_in_the_table() -> None:
    page = (REFERENCE / "management-api.md").read_text("utf-8")
    shown = page.partition(OPERATIONS[0])[2].partition(OPERATIONS[1])[0]
    assert shown == operations_table(), f"run `.venv/bin/python {named(Path(__file__))}`"


def leaves(command: Any, path: tuple[str, ...] = ("ums",)) -> Iterator[tuple[str, Any]]:
    """(full name, command) of everything that can be run."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, (*path, name))


COMMANDS = dict(leaves(typer.main.get_command(app.app)))


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_command_and_option_is_described() -> None:
    described = sections((REFERENCE / "cli.md").read_text("utf-8"))
    for name, command in COMMANDS.items():
        for one in command.params:
            if getattr(one, "hidden", False):
                continue
            shown = one.opts[0] if one.param_type_name == "option" else one.name.upper()
            assert f"| `{shown}` |" in described[name], name


def test_no_command_or_option_is_invented() -> None:
    found = sections((REFERENCE / "cli.md").read_text("utf-8"))
    assert set(found) == set(COMMANDS)
    for name, section in found.items():
        real = {option for one in COMMANDS[name].params for option in one.opts}
        assert set(re.findall(r"^\| `(--[a-z-]+)` \|", section, re.MULTILINE)) <= real


def test_every_option_in_an_example_exists() -> None:
    for paper in PAPERS:
        text = paper.read_text("utf-8").replace("\\\n", " ")
        for words in re.findall(r"^(?:\$ )?(?:\.venv/bin/)?(ums [^#\n]+)", text, re.MULTILINE):
            name = max((n for n in COMMANDS if words.startswith(n)), key=len, default="")
            real = {o for one in COMMANDS[name].params for o in one.opts} if name else {"--version"}
            assert set(re.findall(r" (--[a-z-]+)", words)) <= real, f"{named(paper)}: {words}"


def test_every_route_is_in_an_api_page() -> None:
    v1 = (REFERENCE / "v1-api.md").read_text("utf-8")
    manage = (REFERENCE / "management-api.md").read_text("utf-8")
    for route in idle_application().routes:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        if is_page(route):
            continue
        if path.startswith("/static"):
            path = "/static"
        if path.startswith("/api/schema/"):
            continue  # its other forms
        page = v1 if path.startswith("/v1") or path == "/" else manage
        assert re.search(rf"(GET|POST|PUT|PATCH|DELETE) {re.escape(path)}[`/]", page), path


def is_page(route: Any) -> bool:
    """Whether it is one of the console's, which are for people."""
    handlers = [found[0] for found in getattr(route, "route_handler_map", {}).values()]
    return any(Door in handler.resolve_middleware() for handler in handlers)


def family(error: type[UmsError]) -> Iterator[type[UmsError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_every_code_is_in_the_v1_page() -> None:
    table = sections((REFERENCE / "v1-api.md").read_text("utf-8"))["Codes"]
    codes = {kind.code for kind in family(UmsError)} | set(CODES.values())
    assert {f"| {code} |" for code in codes if f"| {code} |" not in table} == set()


def test_every_reason_callers_meet_is_in_an_api_page() -> None:
    pages = [(REFERENCE / name).read_text("utf-8") for name in ("v1-api.md", "management-api.md")]
    modules = [path for shape in TALKING for path in (ROOT / "src" / "ums").glob(shape)]
    met = {text for path in modules for text in strings(path) if text in WORDS}
    assert {
        reason for reason in met - UNSEEN if not any(f"`{reason}`" in p for p in pages)
    } == set()


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_reason_of_a_delivery_is_described() -> None:
    page = (REFERENCE / "delivery-states.md").read_text("utf-8")
    replies = ROOT / "src" / "ums" / "mail" / "reply_classifier.toml"
    table = tomllib.loads(replies.read_text("utf-8"))
    reasons = {row["id"] for row in (*table["reply"], *table["error"])}
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
    described = page.partition("\n## Reasons\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", described, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"reason"} == set(
        REASONS
    )


def test_every_dependency_has_its_reason() -> None:
    page = (DOCS / "decisions" / "0010-dependencies.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[\[<>=;]", line)[0] for line in project["dependencies"]}
    assert set(re.findall(r"^\| ([a-z][a-z0-9-]*) \|", page, re.MULTILINE)) == wanted


def test_links_lead_somewhere() -> None:
    found_links = [(paper, link) for paper in PAPERS for link in links(paper)]
    for paper, link in found_links:
        target, _, anchor = link.partition("#")
        found = (paper.parent / target).resolve() if target else paper
        assert found.exists(), (named(paper), link)
        if anchor:
            assert anchor in anchors(found), (named(paper), link)


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = page.partition("## Where would I change ...")[2].partition("\n## ")[0]
    paths = re.findall(r"`([\w/.]+/[\w/.]*|\w+\.(?:py|toml))`", table)
    assert len(paths) > 40
    for path in paths:
        assert any((root / path).exists() for root in (ROOT, ROOT / "src" / "ums")), path


def links(paper: Path) -> list[str]:
    """Where the paper's links lead within the repository."""
    text = re.sub(r"```.*?```", "", paper.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(paper: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", paper.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rewrite(page: Path, marks: tuple[str, str], table: str) -> None:
    before, _, rest = page.read_text("utf-8").partition(marks[0])
    page.write_text(f"{before}{marks[0]}{table}{marks[1]}{rest.partition(marks[1])[2]}", "utf-8")


if __name__ == "__main__":
    rewrite(REFERENCE / "settings.md", (BEGIN, END), settings_table())
    rewrite(REFERENCE / "management-api.md", OPERATIONS, operations_table())
    rewrite(REFERENCE / "delivery-states.md", MOVES, transitions_table())
