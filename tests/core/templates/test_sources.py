"""From what an author wrote to what is sent: MJML, CSS, the text, and the child that does it."""

import pytest

from core.templates.language import version
from ums.core.context.app_context import AppContext
from ums.core.isolation.process_limits import Limits
from ums.core.templates.compile_process import compile_sources, validate
from ums.core.templates.compiler import Sources, html_of
from ums.core.templates.parser import Unparsable
from ums.core.templates.placeholders import Hidden
from ums.errors import Invalid
from ums.mail.mime import html_to_text

STYLED = """<html><head><title>{{ t }}</title><style>
.a{color:{{ c }}} td{padding:1px} a:hover{color:red} .c{ {{ rule }} }
@media (max-width:600px){.a{color:red}}</style></head><body>
<table>
{% for r in rows %}<tr><td class="a" style="background:{{ r.bg }}">{{ r.a }}{# gone #}</td>
<td style="{{ s }}">x</td></tr>
{% endfor %}</table>
<a href="{{ url }}?a=1" {{ attrs|safe }}>Shop</a><p class="{% if v %}x{% else %}y{% endif %}">p</p>
<p class=c>q</p><img src={{ src }} alt="{{ alt }}"><!--[if mso]>{{ mso }}<![endif]--></body></html>
"""


def test_css_goes_into_the_elements_and_tags_stay_where_they_are() -> None:
    made = html_of(Sources("s", STYLED))
    assert made is not None
    for kept in (
        "<title>{{ t }}</title>",
        '<tbody>{% for r in rows %}<tr><td class="a" style="padding: 1px;color: {{ c }};'
        'background: {{ r.bg }}">{{ r.a }}</td>',
        '<td style="padding: 1px;{{ s }}">x</td></tr>\n{% endfor %}</tbody>',
        'href="{{ url }}?a=1"',
        "{{ attrs|safe }}",
        '<p class="{% if v %}x{% else %}y{% endif %}">',
        '<p class="c" style="{{ rule }};">',
        '<img src="{{ src }}" alt="{{ alt }}">',
        "<!--[if mso]>{{ mso }}<![endif]-->",
        "a:hover { color: red; }",
        "@media (max-width:600px)",
    ):
        assert kept in made
    assert "gone" not in made


def test_html_without_styles_stays_as_it_is() -> None:
    source = "<P class=x>{{ a }}<br/>\n<td {% if b %}x{% endif %}>"
    assert html_of(Sources("s", source)) == source


def test_a_styled_loop_renders() -> None:
    made = version(html="<style>td{color:red}</style><table>{% for r in rows %}<tr><td>{{ r }}"
                   "</td></tr>{% endfor %}</table>")  # fmt: skip
    assert made.html is not None
    said = made.html.text({"rows": ["a", "<b>"]})
    assert said.count('<tr><td style="color: red;">') == 2
    assert "<tbody><tr>" in said
    assert "&lt;b&gt;</td></tr></tbody></table>" in said


UNCARRIED = [
    ("<style>.a{b:c}</style>\n<p style='{% if a %}color:red{% endif %}'>", 2, "in a style"),
    ("<style>.a{b:c}</style>\n\n<p {% if a %}class=a{% endif %}>", 3, "between attributes"),
    ("<style>{% if a %}.a{b:c}{% endif %}</style>", 1, "in a style"),
    ("<style>.a{b:c}</style><select>{{ a }}</select><p title={{ b() }}>", 1, "called"),
]


@pytest.mark.parametrize(("source", "line", "words"), UNCARRIED)
def test_what_cannot_be_carried_through_is_told(source: str, line: int, words: str) -> None:
    with pytest.raises(Unparsable) as caught:
        html_of(Sources("s", source))
    assert caught.value.problems[0].line == line
    assert words in caught.value.problems[0].detail


MJML = """<mjml><mj-head><mj-title>Hi {{ t }}</mj-title><mj-preview>Pre {{ p }}</mj-preview>
<mj-style>.x{color:{{ c }}}</mj-style><mj-style inline="inline">.y{color:{{ d }}}</mj-style>
</mj-head><mj-body>
{% for s in sections %}<mj-section background-color="{{ bg }}"><mj-column>
{% if s.a %}<mj-text css-class="y">Hello {{ s.name }}</mj-text>{% endif %}
<mj-button href="{{ url }}">Go {{ go }}</mj-button>
<mj-table>{% for r in s.rows %}<tr><td>{{ r }}</td></tr>{% endfor %}</mj-table>
</mj-column></mj-section>{% endfor %}
</mj-body></mjml>"""


def test_mjml_is_compiled_with_its_tags() -> None:
    made = version(mjml=MJML)
    assert made.html is not None
    sections = [{"a": True, "name": "Bill", "rows": ["r1", "r2"]},
                {"a": False, "name": "no", "rows": []}]  # fmt: skip
    values = {"sections": sections, "t": "T", "p": "P", "c": "red", "d": "blue", "bg": "#fff",
              "url": "https://x.test/?a&b", "go": "now"}  # fmt: skip
    said = made.html.text(values)
    assert "<title>Hi T</title>" in said
    assert "Hello Bill" in said
    assert "Hello no" not in said
    assert said.count("<tr><td>r") == 2
    assert said.count('href="https://x.test/?a&amp;b"') == 2
    assert "color: blue" in said
    assert "background-color:#fff" in said or "background-color: #fff" in said
    assert "googleapis" not in said  # a mail loads nothing that nobody asked for
    assert made.text is not None
    assert "Go now (https://x.test/?a&b)" in made.text.text(values)


@pytest.mark.parametrize(
    "source",
    [
        '<mjml><mj-body><mj-include path="/etc/passwd"/></mj-body></mjml>',
        '<mjml><mj-head><mj-include path="/etc/passwd" type="css"/></mj-head></mjml>',
        '<mjml><mj-head><mj-include path="http://127.0.0.1:9/x"/></mj-head></mjml>',
        "<mjml><mj-body><mj-section>",
        "<p>no mjml</p>",
        "",
    ],
)
def test_mjml_that_cannot_be_compiled(source: str) -> None:
    with pytest.raises(Unparsable):
        html_of(Sources("s", mjml=source))


def test_no_file_and_no_address_is_read_for_css() -> None:
    link = '<link rel="stylesheet" href="file:///etc/passwd"><style>p{color:red}</style><p>'
    made = html_of(Sources("s", link))
    assert made is not None
    assert "root:" not in made
    assert "@import" in (html_of(Sources("s", "<style>@import url(file:///x);</style>")) or "")


TEXTS = [
    ("<p>Dear {{ name }},</p><p>bye</p>", "Dear {{ name }},\n\nbye"),
    ("<ul>{% for i in l %}<li>{{ i }}</li>{% endfor %}</ul>",
     "{% for i in l %}- {{ i }}\n{% endfor %}"),
    ('<a href="{{ url }}">Shop</a> <a href="https://{{ host }}/x">there</a>',
     "Shop ({{ url }}) there (https://{{ host }}/x)"),
    ('<img alt="{{ alt }}"> a {% if b %}<b>{{ b }}</b>{% else %}x{% endif %}!',
     "{{ alt }} a {% if b %}{{ b }}{% else %}x{% endif %}!"),
    ("a <{{ tag }}> {# c #}b &amp; c", "a <{{ tag }}> b & c"),
    ("<table>{% for r in l %}<tr><td>{{ r.a }}</td><td>{{ r.b }}</td></tr>{% endfor %}</table>",
     "{% for r in l %}{{ r.a }} | {{ r.b }}\n{% endfor %}"),
    ("<style>a{}</style><title>{{ t }}</title><!-- {{ c }} -->x\x02\x03", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("html", "text"), TEXTS)
def test_the_text_that_is_made_of_html(html: str, text: str) -> None:
    assert Hidden(html, "text").as_plain(html_to_text.html_to_text) == text


def test_a_text_that_cannot_be_made_is_told() -> None:
    with pytest.raises(Unparsable, match="no text can be made"):
        version(html="{% if a %}b{% else %}<a{% endif %}")
    assert version(html="{% if a %}b{% else %}<a{% endif %}", text="t").text is not None


# -- the child --------------------------------------------------------------------------------


async def test_the_child_gives_what_this_process_would(system: AppContext) -> None:
    sources = Sources("Hi {{ n }}", STYLED)
    compiled = await compile_sources(system, sources)
    assert compiled.names == ["alt", "attrs", "c", "mso", "n", "rows", "rule", "s", "src", "t",
                              "url", "v"]  # fmt: skip
    assert (await compile_sources(system, Sources("s", mjml=MJML))).text is not None


async def test_problems_come_with_part_and_line(system: AppContext) -> None:
    sources = Sources("{{ n() }}", "<p>\n{{ name }\n", "{{ x|foo }}\n{% set a=1 %}")
    told = await validate(system, sources)
    assert [(p.part, p.line) for p in told] == [
        ("subject", 1), ("html", 2), ("text", 1), ("text", 2)
    ]  # fmt: skip
    with pytest.raises(Invalid) as caught:
        await compile_sources(system, sources)
    assert caught.value.reason == "template_source"
    assert caught.value.words() == "subject, line 1: nothing can be called"
    assert await validate(system, Sources("s", text="t")) == []


SLOW = Sources("s", mjml='<mj-style inline="inline">' * 9_000)  # none closes: many seconds
LARGE = Sources("s", text="{{ a }}" * 19_000)


@pytest.mark.parametrize(
    ("greedy", "limits", "words"),
    [
        (LARGE, Limits(memory=1024 * 1024), "1 MB of memory"),
        (SLOW, Limits(memory=1024 * 1024), "1 MB of memory"),
        (SLOW, Limits(seconds=1), "1 seconds"),
    ],
)
async def test_a_child_that_wants_too_much_is_a_clear_error(
    system: AppContext, greedy: Sources, limits: Limits, words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await compile_sources(system, greedy, limits)
    assert caught.value.reason == "template_costly"
    assert words in caught.value.words()
    assert await validate(system, Sources("s", text="t")) == []  # and this process goes on


async def test_a_subject_that_can_never_be_one_is_told(system: AppContext) -> None:
    for subject in ("x" * 999, "a\x07b {{ c }}", "=?utf-8?q?=0A?="):
        told = await validate(system, Sources(subject, text="t"))
        assert [problem.part for problem in told] == ["subject"]


REFUSED = [
    (Sources("s"), "template_empty"),
    (Sources("s", html="h", mjml="m"), "template_twice"),
    (Sources(" ", text="t"), "bad_subject"),
    (Sources("s\nt", text="t"), "control_characters"),
    (Sources("s", text="a\x00"), "control_characters"),
    (Sources("s", html="\ud800"), "control_characters"),
    (Sources("s", text="用" * 90_000), "template_large"),
    (Sources("s" * 2001, text="t"), "template_large"),
]


@pytest.mark.parametrize(("sources", "reason"), REFUSED)
async def test_what_needs_no_child_to_be_refused(
    system: AppContext, sources: Sources, reason: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await compile_sources(system, sources)
    assert caught.value.reason == reason
