"""Whatever JSON, and whatever bytes, each address is given: an answer of ours, never a 500."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.doors import Answer, Basic, Door, OneChannel

POSTS = ("/v1/sent", "/v1/broadcast", "/v1/user/opt", "/v1/user/delete")
WORDS = """
    aud_tag aud_userid aud_segment aud_email msg_email msg_sms rule_id option callback data
    instance subject text files sendno owner black_id priority url params userid set add del tag
    email phone app dingtalkcc attributes all
"""

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\x00", "a@example.org", "all", "v:1t:1p:1n:1", "email", "1234", "\u2028", "=?utf-8?q?x?="]
)
KEYS = st.sampled_from(WORDS.split()) | TEXTS
NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
JSONS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
LIKELY = st.fixed_dictionaries(
    {
        "aud_email": st.just([{"data": ["a@example.org"]}]) | JSONS,
        "msg_email": st.just([{"subject": "s", "text": "t"}]) | JSONS,
    },
    optional=dict.fromkeys(
        ["aud_tag", "aud_userid", "aud_segment", "rule_id", "option", "callback"], JSONS
    ),
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"userid": st.sampled_from(["u1", "u2"]) | JSONS},
        optional=dict.fromkeys(["set", "add", "del", "email", "tag", "attributes"], JSONS),
    ),
    max_size=4,
)
BODIES = st.binary(max_size=60) | (LIKELY | ENTRIES | JSONS).map(
    lambda value: json.dumps(value, allow_nan=True).encode()
)
ADDRESSES = st.sampled_from([*POSTS, "/local/channel.create", "/local/x", "/v1/nothing"])


thoroughly = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,  # a suite that fails does so for everybody
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@thoroughly
@given(path=ADDRESSES, body=BODIES, by_key=st.booleans())
async def test_nothing_that_is_sent_breaks_it(
    shared: Door, caller: OneChannel, master: Basic, path: str, body: bytes, by_key: bool
) -> None:
    local = path.startswith("/local/")
    who = None if local else master if by_key else caller
    headers = {"Authorization": f"Bearer {shared.token}"} if local else {}
    answer = await shared.ask("POST", path, who, content=body, headers=headers)
    assert answer.status < 500, answer
    if path.startswith("/v1/"):
        assert type(answer.body["code"]) is int
        assert type(answer.body["message"]) is str


PARTS = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=20).map(
    lambda text: quote(text, safe="")
) | st.binary(min_size=1, max_size=9).map(quote)
PLACES = st.sampled_from(
    ["/api/messages/{}", "/api/messages/{}/deliveries", "/api/deliveries/{}", "/{}", "/v1/{}"]
)
FILTERS = st.sampled_from(["state", "reason", "userid", "address", "after", "limit"]) | PARTS


@thoroughly
@given(place=PLACES, part=PARTS, filters=st.dictionaries(FILTERS, PARTS, max_size=3))
async def test_nothing_that_is_asked_for_breaks_it(
    shared: Door, caller: OneChannel, place: str, part: str, filters: dict[str, str]
) -> None:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    request = (
        f"GET {place.format(part)}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {caller.header}\r\n\r\n"
    )
    answer: Answer = await shared.wire(request.encode())
    assert answer.status < 500, answer
    assert type(answer.body["code"]) is int
    assert answer.body["message"]
