"""Every error that the source raises has words in both languages, with the values they want."""

import ast
import tomllib
from functools import cache
from pathlib import Path
from string import Formatter

from ums import errors
from ums.errors import CODES, WORDS, Refused, UmsError

PACKAGE = Path(errors.__file__).parent
KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, UmsError) and kind is not UmsError
}
# Reasons that are chosen at run time: where, by which expression, and which there are.
CHOSEN = {
    ("core/messages/requests.py", "reason"): {
        name for name in CODES if name.startswith("no_sender_")
    },
    ("core/users/fields.py", "kind.reason"): {"bad_value", "bad_tag", "bad_address"},
    ("core/users/entry_parser.py", "reason"): {"bind_id_denied", "bad_bind_id"},
    ("core/imports/row_mapping.py", "line.flaw"): {"cell_nameless", "cell_number", "cell_long"},
    ("core/messages/template_content.py", "error.reason"): {
        "variable_missing",
        "template_failed",
        "template_limit",
    },
    ("core/spreadsheets/reader.py", "reason"): {"sheet_unreadable", "sheet_columns", "sheet_limit"},
    ("console/pasted_lines.py", "reason"): {"people_wrong", "addresses_wrong", "entries_wrong"},
    ("web/bodies.py", "self.kind.reason"): {"too_large", "material_large"},
    ("api/v1/retract.py", "error.reason"): {"message_unknown"},
    ("api/problem_details.py", "'unknown_field' if unknown else 'missing'"): {
        "unknown_field",
        "missing",
    },
}


@cache
def raised() -> list[tuple[str, str, ast.expr, set[str]]]:
    """Where an error is made, of which kind, its reason, and the names of its values."""
    found: list[tuple[str, str, ast.expr, set[str]]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in KINDS and node.args:
                where = f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
                values = {keyword.arg or "**" for keyword in node.keywords}
                found.append((where, node.func.id, node.args[0], values))
    return found


def wanted(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_errors_are_found_at_all() -> None:
    assert len(raised()) > 100


def test_an_error_has_words_for_its_reason() -> None:
    for where, kind, reason, values in raised():
        if isinstance(reason, ast.Constant):
            reasons = {str(reason.value)}
            # The management API tells the field apart from the words.
            expected = wanted(WORDS[str(reason.value)][0])
            assert expected | {"field"} == values | {"field"}, where
        else:
            reasons = CHOSEN[where.partition(":")[0], ast.unparse(reason)]
        for name in reasons:
            assert wanted(WORDS[name][0]) <= values, (where, name)
        if issubclass(KINDS[kind], Refused):
            assert reasons <= CODES.keys(), where


def test_words_of_a_reason() -> None:
    for reason, (english, chinese) in WORDS.items():
        assert wanted(english) == wanted(chinese), reason
        assert english.isascii(), reason
        assert not chinese.isascii(), reason
        assert "\n" not in english + chinese, reason


def test_every_counted_error_has_its_singular() -> None:
    """`1 lines hold` is no English: where a count stands before a plural, there is one for one."""
    table = tomllib.loads((PACKAGE / "errors.toml").read_text("utf-8"))
    counted = [name for name, row in table.items() if "{count}" in row["en"]]
    assert counted
    assert [name for name in counted if "en_one" not in table[name]] == []
    for name in counted:
        values = dict.fromkeys(wanted(table[name]["en"]), "x")
        for count in (1, "1"):
            one = errors.Invalid(name, **{**values, "count": count})
            assert one.words().startswith("1 "), name
            assert one.words("zh") == table[name]["zh"].format(**{**values, "count": 1})
            assert one.words() != table[name]["en"].format(**{**values, "count": 1})
        assert errors.Invalid(name, **{**values, "count": 2}).words().startswith("2 ")
