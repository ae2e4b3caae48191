"""Letters that come back, as servers write them; `{id}` is the Message-ID of the mail they are
about."""

_POSTFIX = """\
Return-Path: <>
From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: news@sender.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B1"

--B1
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Arrival-Date: Thu, 26 Nov 2026 10:00:00 +0800

Final-Recipient: rfc822; {to}
Original-Recipient: rfc822;{to}
Action: {action}
Status: {status}
Remote-MTA: dns; in.example.org
Diagnostic-Code: smtp; {words}

--B1
Content-Type: message/rfc822

From: News <news@sender.example>
To: {to}
Subject: Hello
Message-ID: <{id}>

Text.
--B1--
"""

_HEADERS_ALONE = _POSTFIX.replace("message/rfc822", "text/rfc822-headers").replace(
    "\nText.\n", "\n"
)

_QQ = """\
From: PostMaster@qq.com
Subject: =?utf-8?b?6YCA5L+h6YCa55+l?=
To: news@sender.example
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="B2"

--B2
Content-Type: text/html; charset="gb18030"
Content-Transfer-Encoding: 8bit

<div>\u62b1\u6b49\uff0c\u60a8\u7684\u90ae\u4ef6\u88ab\u9000\u56de\u6765\u4e86</div>
<p>\u6536\u4ef6\u4eba\uff1a{to}</p><p>\u539f\u56e0\uff1ahost mx.qq.com said: {words}</p>
--B2
Content-Type: message/rfc822

From: News <news@sender.example>
Message-ID: <{id}>
Subject: Hello

Text.
--B2--
"""

_COMPLAINT = """\
From: feedback@provider.example
Subject: FW: Hello
To: news@sender.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="B3"

--B3
Content-Type: text/plain

This is an email abuse report.
--B3
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Feedback/1.0
Version: 1

--B3
Content-Type: message/rfc822

From: News <news@sender.example>
Message-ID: <{id}>
Subject: Hello

Text.
--B3--
"""

_ANSWER = """\
From: {to}
Subject: Re: Hello
To: news@sender.example
In-Reply-To: <{id}>
References: <other@x.example> <{id}>
Content-Type: text/plain; charset=utf-8

Thank you.
"""


def _made(letter: str, **values: str) -> bytes:
    for name, value in values.items():
        letter = letter.replace("{" + name + "}", value)
    charset = "gb18030" if "gb18030" in letter else "utf-8"
    return letter.replace("\n", "\r\n").encode(charset)


def report(
    id: str,
    words: str = "550 5.1.1 <gone@example.org>: user unknown",
    *,
    status: str = "5.1.1",
    action: str = "failed",
    to: str = "gone@example.org",
    headers_alone: bool = False,
) -> bytes:
    """A delivery report of RFC 3464."""
    letter = _HEADERS_ALONE if headers_alone else _POSTFIX
    return _made(letter, id=id, words=words, status=status, action=action, to=to)


def qq(id: str, words: str, to: str = "10001@qq.com") -> bytes:
    """A postmaster's letter in its own words."""
    return _made(_QQ, id=id, words=words, to=to)


def complaint(id: str) -> bytes:
    """An abuse report of RFC 5965."""
    return _made(_COMPLAINT, id=id)


def answer(id: str, to: str = "zhang@example.cn") -> bytes:
    """What a person writes back."""
    return _made(_ANSWER, id=id, to=to)


def sent(id: str) -> bytes:
    """A mail as the Sent folder keeps it."""
    return _made("From: news@sender.example\nMessage-ID: <{id}>\nSubject: Hello\n\nText.\n", id=id)
