"""Made-up channels and their templates."""

from typing import Final

from msgspec import Struct


class SampleTemplate(Struct, frozen=True):
    """A template of a channel, and the values that its messages are sent with."""

    name: str
    subject: str
    html: str
    values: dict[str, str]


class SampleChannel(Struct, frozen=True):
    """A channel; `share` is its part of all messages."""

    key: str
    name: str
    share: int
    templates: tuple[SampleTemplate, ...]


_LAYOUT: Final = (
    '<div style="font-family: sans-serif; max-width: 36em"><h1>{title}</h1><p>{greeting}</p>'
    '<p>{body}</p><p style="color: #666">{foot}</p></div>'
)


def _html(title: str, greeting: str, body: str, foot: str) -> str:
    return _LAYOUT.format(title=title, greeting=greeting, body=body, foot=foot)


_ORDERS = SampleChannel(
    "sampleorders",
    "Orders 订单通知",
    45,
    (
        SampleTemplate(
            "Order confirmed",
            "Your order {{ order }} is confirmed",
            _html(
                "Thank you for your order",
                "Hello {{ name }},",
                "We have received order {{ order }} for {{ total }}. We will write again when it"
                " leaves our warehouse.",
                "Example Store, 1 Harbour Street, Singapore",
            ),
            {"order": "SG-20418", "total": "USD 86.40"},
        ),
        SampleTemplate(
            "订单发货",
            "您的订单 {{ order }} 已发货",
            _html(
                "订单已发货",
                "{{ name }}：",
                "您的订单 {{ order }} 已由 {{ carrier }} 揽收，预计三日内送达。",
                "示例商城客服中心",
            ),
            {"order": "HZ-30977", "carrier": "示例快递"},
        ),
    ),
)
_ACCOUNTS = SampleChannel(
    "sampleaccounts",
    "Accounts 账户安全",
    40,
    (
        SampleTemplate(
            "Sign-in code",
            "{{ code }} is your sign-in code",
            _html(
                "Sign-in code",
                "Hello {{ name }},",
                "Use {{ code }} to sign in. The code is valid for ten minutes.",
                "If you did not ask for it, ignore this mail.",
            ),
            {"code": "482 913"},
        ),
        SampleTemplate(
            "密码已修改",
            "您的密码已修改",
            _html(
                "密码已修改",
                "{{ name }}：",
                "您的账户密码已于 {{ time }} 修改。如非本人操作，请立即联系客服。",
                "此邮件由系统自动发送，请勿回复。",
            ),
            {"time": "14:05"},
        ),
    ),
)
_NEWS = SampleChannel(
    "samplenews",
    "Newsletter 会员周报",
    15,
    (
        SampleTemplate(
            "Weekly picks",
            "This week's picks for you",
            _html(
                "This week's picks",
                "Hello {{ name }},",
                "Eight new arrivals, two interviews and one recipe: {{ theme }}.",
                "You receive this because you subscribed to our newsletter.",
            ),
            {"theme": "the first warm days"},
        ),
        SampleTemplate(
            "会员日",
            "{{ name }}，本周会员日福利已到账",
            _html(
                "会员日",
                "{{ name }}：",
                "本周六会员日，全场{{ discount }}，更有限量礼品等您领取。",
                "您收到此邮件是因为您订阅了会员周报。",
            ),
            {"discount": "八折"},
        ),
    ),
)
CHANNELS: Final = (_ORDERS, _ACCOUNTS, _NEWS)
