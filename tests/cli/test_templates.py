"""`ums template`, on both databases."""

import json
from pathlib import Path

import pytest

from cli.conftest import Ums


@pytest.mark.slow
def test_a_template_from_its_making_to_its_closing(ums: Ums, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    html, text = tmp_path / "a.html", tmp_path / "a.txt"
    html.write_text("\ufeff<p>Dear {{ name }} of {{ city }}</p>")
    text.write_text("Hi {{ name }}")
    on = ("--channel", "1234")
    made = ums("template", "create", "--name", "Welcome", "--subject", "{{ name }}", "--html",
               str(html), "--default", "city=Rome=x", *on, "--json").json  # fmt: skip
    id = str(made["id"])
    assert (made["version"], made["required"], made["defaults"]) == (
        (1, ["name"], {"city": "Rome=x"})
    )
    assert made["html"] == "<p>Dear {{ name }} of {{ city }}</p>"
    changed = ums("template", "update", id, "--text", str(text), *on, "--json").json
    assert (changed["version"], changed["text"], changed["html"]) == (
        (2, "Hi {{ name }}", made["html"])
    )
    derived = ums("template", "update", id, "--derive-text", "--name", "W2", *on, "--json").json
    assert (derived["version"], derived["text"], derived["name"]) == (3, None, "W2")
    listed = ums("template", "list", *on, "--json").json
    assert [(one["id"], one["version"]) for one in listed["items"]] == [(made["id"], 3)]
    assert "W2" in ums("template", "list", *on).out
    assert ums("template", "show", id, "--version", "2", *on, "--json").json["text"] == (
        "Hi {{ name }}"
    )
    assert "Dear {{ name }}" in ums("template", "show", id, *on).out
    para = json.dumps({"name": "张三"})
    shown = ums("template", "preview", id, "--para", para, *on, "--json").json
    assert (shown["subject"], shown["text"], shown["missing"]) == (
        ("张三", "Dear 张三 of Rome=x", [])
    )
    assert "Dear [name]" in ums("template", "preview", id, *on).out
    assert ums("template", "close", id, *on, "--json").json["open"] is False
    assert ums("template", "open", id, *on, "--json").json["open"] is True


def test_what_goes_wrong_is_told(ums: Ums, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    bad = tmp_path / "bad.html"
    bad.write_text("<p>\n{{ name( }}")
    new = ("template", "create", "--name", "N", "--subject", "s", "--channel", "1234")
    assert ums(*new, "--html", str(bad)).complaint.startswith("html, line 2: ")
    assert "No such file" in ums(*new, "--html", str(tmp_path / "none")).complaint
    assert ums(*new).complaint == "A template has HTML, MJML or a text."
    assert "NAME=VALUE" in ums(*new, "--html", str(bad), "--default", "a").complaint
    (tmp_path / "t").write_text("{{ name }}")
    id = str(ums(*new, "--text", str(tmp_path / "t"), "--json").json["id"])
    look = ("template", "preview", id, "--channel", "1234", "--para")
    assert ums(*look, "{").complaint == "--para is not JSON"
    assert ums(*look, "[]").complaint == "--para is not a JSON object"
    test = ("template", "test", id, "--channel", "1234", "--to", "a@x.cn", "--json")
    assert ums(*test).error["reason"] == "variable_missing"
    assert ums(*test, "--para", '{"name": 1}').error["reason"] == "no_sender"
    assert ums("template", "show", "99", "--channel", "1234", "--json").error["code"] == 4004
    unknown = ums("template", "list", "--channel", "nobody", "--json").error
    assert unknown["reason"] == "channel_unknown"
