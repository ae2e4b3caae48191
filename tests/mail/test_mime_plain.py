"""When a text is HTML, and what HTML says in plain words."""

import time

import pytest

from ums.mail.mime.html_to_text import html_to_text, is_html

HTML = [
    "<p>x</p>", "a<br>b", "a<br/>b", "a<BR />b", "x</p>", '<a href="https://x.test">x</a>', "<b>x",
    "<!DOCTYPE html><x>", "<!doctype  HTML>", "<html>", '<img src="cid:a">', "<div\nclass=a>x",
    "<h1>x</h1>", "<table><tr><td>1", "5 < 6 <i>x</i>", "<font color='red'>红</font>",
]  # fmt: skip
NOT_HTML = [
    "", "plain", "a < b", "a<b and c>d", "a <b", "1<2>3", "<user@x.test>", "<https://x.test/p>",
    "<p@x.test>", "List<String>", "<input disabled>", "<note>x</note>", "<你好>", "&lt;p&gt;",
    "&nbsp;", "<-->", "<>",
    "< p>", "<pa>", "<p", "<b:c>", "</>", "<!-- x -->", "if (a<b) { c->d; }", "<doctype html>",
]  # fmt: skip
SAID = {
    "<p>a</p><p>b</p>": "a\n\nb",
    "a<br>b<br><br>c": "a\nb\n\nc",
    "<div>a</div><div>b</div>": "a\nb",
    "  a \n\n  <b>b</b>\tc ": "a b c",
    "<h1>T</h1>x": "T\n\nx",
    "a &amp; b &lt;c&gt; &#20320;&nbsp;x&copy;": "a & b <c> 你 x©",
    '<a href="https://x.test/a">here</a>.': "here (https://x.test/a).",
    "<a href=https://x.test/a?b=1&amp;c=2>here</a>": "here (https://x.test/a?b=1&c=2)",
    "<a class='x' HREF='https://x.test'>https://x.test/</a>": "https://x.test/",
    '<a href="https://x.test">x.test</a>': "x.test",
    '<a href="mailto:a@b.cd">a@b.cd</a> <a href="mailto:a@b.cd">us</a>': "a@b.cd us (a@b.cd)",
    '<a href="https://x.test"><img src="a.png"></a>': "https://x.test",
    '<a href="https://x.test"><img src="a.png" alt="Shop"></a>': "Shop (https://x.test)",
    '<a href="javascript:alert(1)">x</a><a href="#top">y</a><a name="z">z</a>': "xyz",
    '<a data-href="https://evil.test" href="https://x.test">x</a>': "x (https://x.test)",
    '<a href="https://x.test/1">one<a href="https://x.test/2">two': (
        "one (https://x.test/1)two (https://x.test/2)"
    ),
    "<ul><li>a<li>b</ul>c": "- a\n- b\n\nc",
    "<ol><li>a</li><li><p>b</p></li></ol>": "1. a\n2. b",
    "<ul><li>a<ol><li>b</li><li>c</li></ol></li><li>d</li></ul>": "- a\n  1. b\n  2. c\n- d",
    '<ul><li><a href="https://x.test">a</a></li></ul>': "- a (https://x.test)",
    "<li>x": "- x",
    "<table><tr><th>Name</th><th>Sum</th></tr><tr><td>张三</td> <td>5</td></tr></table>": (
        "Name | Sum\n张三 | 5"
    ),
    '<table><tr><td>a</td><td><a href="https://x.test">b</a></td></tr></table>': (
        "a | b (https://x.test)"
    ),
    "<table><tr><td> </td><td>a</td></tr></table>": "a",
    "<td>a</td><td></td><td>c</td>": "a | c",
    "a<hr>b": "a\n\n--------------------\n\nb",
    "<pre>a  b\n  c</pre>d": "a  b\n  c\n\nd",
    "<ul><li></li></ul><p>x</p>": "x",
    "<pre> </pre><pre>\n</pre>x": "x",
    "<style>p{}</style><script>if (a<b) x('</p>')</script>a": "a",
    "<SCRIPT>x</SCRIPT >a<script>never closed": "a",
    "<title>t</title><head><meta charset=gbk></head><body>a</body>": "a",
    "a<!-- b -- > <p> -->c<!-->d<!-- e": "acd",
    "<!--[if mso]><p>x</p><![endif]-->a<![if !mso]>b<![endif]><?xml x?>": "ab",
    '<p title="a > b">x</p>': "x",
    "<p don't>x</p>": "x",
    "a < b <p>c": "a < b\n\nc",
    "a<p class='never closed>b": "a",
    "<p>\u200b\ufeffx\u00ad</p>": "x",
    "": "",
    "<br>": "",
}


@pytest.mark.parametrize("text", HTML)
def test_a_tag_of_html_makes_html(text: str) -> None:
    assert is_html(text)


@pytest.mark.parametrize("text", NOT_HTML)
def test_other_angles_do_not(text: str) -> None:
    assert not is_html(text)


@pytest.mark.parametrize("html", SAID)
def test_what_html_says(html: str) -> None:
    assert html_to_text(html) == SAID[html]


@pytest.mark.parametrize(
    "unit",
    [
        "<!--", "<", "<a ", "<a '", '<a "', "<a =", "<a = ", '<a ="', "<a b='", "<a " + "=" * 9999,
        "<a " + " " * 9999, "</", "<!", "<?x",
        "<script>", "<script></scrip", "</a>", "<a href=https://x>", "<ul>", "<li>", "<td>a",
        "<pre>\n",
        "&", "&#", "&amp", "<p>", "<a href", " ", "a href=", "<a\t", "<!doctype ", "href='x",
    ],
)  # fmt: skip
def test_hostile_html_takes_linear_time(unit: str) -> None:
    html = unit * (300_000 // len(unit))
    start = time.process_time()
    is_html(html)
    html_to_text(html)
    assert time.process_time() - start < 15  # quadratic work would take minutes
