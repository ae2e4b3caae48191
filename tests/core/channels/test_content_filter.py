"""The word filter: what counts as having a word, for which channel, and how soon."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.flow import Flow, open_flow
from support.ruling import rule
from ums.core.channels import channels, content_filter, text_matcher
from ums.core.channels.text_matcher import Lexicon, fold
from ums.core.context.app_context import AppContext
from ums.core.senders import senders
from ums.errors import Invalid, Refused


class Row:
    def __init__(self, word: str, channel: int | None = None, *, exempt: bool = False) -> None:
        self.word, self.channel_id, self.exempt = word, channel, exempt


def found(word: str, text: str) -> bool:
    return Lexicon([Row(fold(word))]).search(1, [text]) is not None


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("发票", "代开发票"),
        ("发票", "发\u200b票"),
        ("发票", "<p>发<b>票</b></p>"),
        ("发票", "<p>发<!-- x -->票</p>"),
        ("发票", "<p>&#x53d1;&#31080;</p>"),
        ("发票", '<img alt="发票" src="x.png">'),
        ("casino", "The CASINO is open"),
        ("casino", "ｃａｓｉｎｏ"),  # full width
        ("casino", "Ca\u00adsi\ufeffno!"),
        ("casino", "<b>ca</b>si<i>no</i>"),
        ("casino", '<a href="https://x.example/casino/">here</a>'),
        ("casino", "赌场casino赌场"),
        ("Ｃasino", "casino"),
        ("free money", "FREE\n\t money"),
        ("straße", "STRASSE"),
        ("ﬁne", "FINE"),
        ("ガチャ", "ｶﾞﾁｬを引く"),
        ("카지노", "카지노를 엽니다"),
        ("c++", "we use C++."),
        ("100%", "it is 100% free"),
        ("$$$", "earn $$$now"),
    ],
)
def test_what_has_the_word(word: str, text: str) -> None:
    assert found(word, text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ass", "Your password, classic glass"),
        ("casino", "casinos"),
        ("发票", "发。票"),
        ("发票", "<p>发</p><p>票</p>"),
        ("casino", "cas ino"),
        ("money", "harmoney"),
        ("100", "1000 and 2100"),
    ],
)
def test_what_has_not(word: str, text: str) -> None:
    assert not found(word, text)


def test_a_word_is_found_wherever_a_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_matcher, "SLICE", 10)
    for place in range(40):
        for word, left, right in (("发票", "开", "的"), ("casino", " ", " ")):
            text = left * place + word + right * (40 - place)
            assert found(word, text), place
        assert not found("ass", "x" * place + "ass" + " " * 20) or place == 0
        assert not found("ass", " " * place + "ass" + "x" * 20)
        assert found("ass", " " * place + "ass")


@given(
    st.text(alphabet="ab票 ", max_size=60),
    st.lists(st.text(alphabet="ab票", min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_cutting_changes_nothing(text: str, some: list[str], size: int) -> None:
    forbidden = Lexicon([Row(word) for word in some])
    whole = forbidden.search(1, [text]) is None
    before = text_matcher.SLICE
    text_matcher.SLICE = size
    try:
        assert (forbidden.search(1, [text]) is None) == whole
    finally:
        text_matcher.SLICE = before


@pytest.mark.slow
def test_words_within_words_at_every_place_do_not_fill_the_memory() -> None:
    rows = [Row("票" * n) for n in range(1, 20)]
    rows += [Row("票" * n, 1, exempt=True) for n in range(1, 20)]
    # Of all places at once it would be 35 MB.
    forbidden, text = Lexicon(rows), "票" * 3 * text_matcher.SLICE
    tracemalloc.start()
    try:
        assert forbidden.search(1, [text]) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


# -- channels ---------------------------------------------------------------------------------


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def refusal(flow: Flow, subject: str = "s", text: str = "t") -> str:
    """The word a message is refused for; "" when it is not."""
    try:
        await flow.send("a@x.cn", msg_email=[{"subject": subject, "text": text}])
    except Refused as error:
        return str({1015034: error.values["word"]}[error.code])
    return ""


async def test_subject_and_text_are_looked_through(flow: Flow) -> None:
    assert await refusal(flow, text="代开发票") == ""
    await content_filter.add(flow.system, "发票")
    await content_filter.add(flow.system, "Casino")
    assert await refusal(flow, text="代开发票") == "发票"
    assert await refusal(flow, subject="CASINO") == "casino"
    assert await refusal(flow, text="<p>发<b>票</b></p>") == "发票"
    assert await refusal(flow, text="x" * 100_000 + " casino " + "x" * 100_000) == "casino"
    assert await refusal(flow) == ""


async def test_words_of_one_channel_and_exemptions(flow: Flow) -> None:
    await channels.create(flow.system, "Other", "5678")
    await senders.authorise(flow.system, "main", "5678")
    other, channel = Flow(flow.system, "5678"), await flow.channel()
    await content_filter.add(flow.system, "everywhere")
    await content_filter.add(flow.system, "here", channel)
    assert [await refusal(one, text="here") for one in (flow, other)] == ["here", ""]
    await content_filter.add(flow.system, "everywhere", channel, exempt=True)
    assert [await refusal(one, text="everywhere") for one in (flow, other)] == ["", "everywhere"]
    await content_filter.remove(flow.system, "Everywhere", channel)
    assert await refusal(flow, text="everywhere") == "everywhere"
    await rule(flow.system, "1234", word_filter=False)
    assert await refusal(flow, text="everywhere here") == ""
    await content_filter.remove(flow.system, "everywhere")
    assert await refusal(other, text="everywhere") == ""


async def test_lists_of_words(flow: Flow) -> None:
    channel = await flow.channel()
    for word in ("b", "a", "c"):
        await content_filter.add(flow.system, word)
    await content_filter.add(flow.system, "a", channel, exempt=True)
    first = await content_filter.list_words(flow.system, limit=2)
    rest = await content_filter.list_words(flow.system, limit=2, after=first.next)
    assert [word.word for word in [*first.items, *rest.items]] == ["b", "a", "c"]
    mine = (await content_filter.list_words(flow.system, channel)).items
    assert [(word.word, word.channelkey, word.exempt) for word in mine] == [("a", "1234", True)]


async def test_words_that_cannot_be(flow: Flow) -> None:
    channel = await flow.channel()
    await content_filter.add(flow.system, "known")
    await content_filter.add(flow.system, "mine", channel)
    for word, where, reason in (
        ("", None, "bad_word"),
        (" \u200b ", None, "bad_word"),
        ("x" * 101, None, "bad_word"),
        ("a\0b", None, "bad_word"),
        ("KNOWN ", None, "word_known"),
        ("ｍｉｎｅ", channel, "word_known"),
    ):
        with pytest.raises(Invalid) as error:
            await content_filter.add(flow.system, word, where)
        assert error.value.reason == reason
    for word, where in (("unheard", None), ("known", channel), ("mine", None)):
        with pytest.raises(Invalid) as error:
            await content_filter.remove(flow.system, word, where)
        assert error.value.reason == "word_unknown"
    with pytest.raises(Invalid):
        await content_filter.add(flow.system, "everyone", exempt=True)
