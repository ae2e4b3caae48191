"""Replies of servers in the field, with what they mean: at a stage, the line, the reason and the
outcome in a word."""

import csv
from pathlib import Path

from ums.mail.outcomes import Reply
from ums.mail.smtp.reply_parser import ReplyParser


def reply(line: str) -> Reply:
    (found,) = ReplyParser().feed(line.encode() + b"\r\n")
    return found


TABLE = [
    # the ordinary course
    ("dot", "250 2.0.0 Ok: queued as 4ABC", "sent", "sent"),
    ("dot", "250 Mail OK queued as gzsmtp4", "sent", "sent"),
    ("rcpt", "450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/", "greylist", "later"),
    ("rcpt", "451 4.7.1 Please try again later", "greylist", "later"),
    ("rcpt", "450 4.1.1 something", "temporary", "later"),
    ("dot", "451 4.3.0 Temporary failure", "temporary", "later"),
    ("dot", "421 4.3.2 Service shutting down", "server_closed", "later sender"),
    ("mail", "421 4.4.2 idle", "server_closed", "hold"),
    ("greeting", "421 too busy", "server_busy", "hold"),
    ("ehlo", "450 wait", "server_busy", "hold"),
    ("greeting", "554 5.7.1 go away", "server_refuses_us", "hold"),
    ("greeting", "421 HL:ICC 1.2.3.4", "too_many_connections", "hold"),
    # log-in
    ("auth", "535 5.7.8 Username and Password not accepted", "credentials", "hold"),
    ("auth", "535 Error: authentication failed", "credentials", "hold"),
    (
        "auth",
        "535 Login Fail. Please enter your authorization code to login.",
        "credentials",
        "hold",
    ),
    ("auth", "526 Authentication failure[0]", "credentials", "hold"),
    ("auth", "534 5.7.9 Application-specific password required", "credentials", "hold"),
    ("auth", "550 User has no permission", "credentials", "hold"),
    ("auth", "454 4.7.0 Temporary authentication failure", "login_later", "hold"),
    ("auth", "421 bye", "login_later", "hold"),
    ("auth", "432 4.7.12 transition", "login_later", "hold"),
    (
        "auth",
        "454 4.7.0 Too many login attempts, please try again later",
        "login_too_often",
        "hold",
    ),
    ("auth", "535 5.7.139 Authentication unsuccessful", "password_login_retired", "hold"),
    (
        "auth",
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "password_login_retired",
        "hold",
    ),
    (
        "mail",
        "451 Requested mail action not taken: too much fail authentication",
        "login_too_often",
        "hold",
    ),
    ("mail", "530 5.7.0 Must issue a STARTTLS command first", "credentials", "hold"),
    ("mail", "553 authentication is required", "credentials", "hold"),
    # the sender's address
    ("mail", "553 Mail from must equal authorized user", "sender_refused", "hold"),
    ("mail", "501 Mail from address must be same as authorization user", "sender_refused", "hold"),
    ("dot", '550 The "From" header is missing or invalid', "sender_refused", "hold"),
    ("mail", "440 mail from account doesn't conform with authentication", "sender_refused", "hold"),
    ("mail", '436 "MAIL FROM" doesn\'t conform with authentication', "sender_refused", "hold"),
    ("mail", "550 5.1.8 Access denied, bad outbound sender", "sender_refused", "hold"),
    ("mail", "550 5.7.1 no", "sender_refused", "hold"),
    (
        "dot",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "sender_refused",
        "hold",
    ),
    ("dot", "554 Message rejected: Email address is not verified.", "sender_refused", "hold"),
    ("rcpt", "450 WM:BLI 163 smtp1", "sender_refused", "hold"),
    ("mail", "554 MI:SPB", "sender_refused", "hold"),
    # quotas and rates
    ("dot", "550 5.4.5 Daily user sending quota exceeded. gsmtp", "daily_quota", "hold"),
    ("rcpt", "454 Throttling failure: Daily message quota exceeded.", "daily_quota", "hold"),
    ("rcpt", "454 Throttling failure: Maximum sending rate exceeded.", "rate", "hold"),
    ("dot", "554 MI:STC 163 smtp7", "daily_quota", "hold"),
    (
        "rcpt",
        "504 the number of RCPT attempts is achieved the maximum threshold",
        "daily_quota",
        "hold",
    ),
    ("rcpt", "505 the total of RCPTs is achieved the maximum threshold", "rate", "hold"),
    ("mail", "451 MI:SFQ 163 smtp5", "rate", "hold"),
    ("mail", "421 HL:IFC", "rate", "hold"),
    ("rcpt", "550 Ip frequency limited", "rate", "hold"),
    ("dot", "550 Domain frequency limited [1.2.3.4]", "rate", "hold"),
    ("dot", "550 Sender frequency limited", "rate", "hold"),
    ("mail", "550 Connection frequency limited", "too_many_connections", "hold"),
    ("dot", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "rate", "hold"),
    ("dot", "450 4.7.3 Organization queue quota exceeded.", "rate", "hold"),
    ("dot", "454 Transient reject by behaviour spam", "rate", "hold"),
    ("mail", "450 发送频率过高", "rate", "hold"),
    ("rcpt", "450 4.2.1 The user is receiving mail at a rate that", "recipient_too_busy", "later"),
    ("mail", "450 MI:DMC 163", "connection_used_up", "hold"),
    ("rcpt", "450 RP:DRC 163", "connection_used_up", "hold"),
    ("rcpt", "452 4.5.3 Too many recipients", "too_many_recipients", "later free"),
    ("rcpt", "552 Too many recipients", "too_many_recipients", "later free"),
    # reputation
    ("mail", "421 HL:REP", "blocked_ip", "hold"),
    ("mail", "554 HL:IPB", "blocked_ip", "hold"),
    ("rcpt", "450 DT:RBL", "blocked_ip", "hold"),
    (
        "rcpt",
        "550 5.7.1 Unfortunately, part of their network is on our block list (S3140).",
        "blocked_ip",
        "hold",
    ),
    ("dot", "550 Suspected spam ip", "blocked_ip", "hold"),
    ("dot", "550 5.7.26 This mail is unauthenticated", "domain_setup", "refused"),
    ("dot", "550 5.7.515 Access denied", "domain_setup", "refused"),
    # the recipient
    (
        "rcpt",
        "550 5.1.1 <x@example.org>: Recipient address rejected: User unknown",
        "no_such_mailbox",
        "refused",
    ),
    ("rcpt", "550 Mailbox not found. http://service.mail.qq.com/", "no_such_mailbox", "refused"),
    ("rcpt", "550 Mailbox unavailable or access denied", "no_such_mailbox", "refused"),
    ("rcpt", "550 User not found: x@163.com", "no_such_mailbox", "refused"),
    ("rcpt", "554 RCPT (x@example.org) dosn't exist", "no_such_mailbox", "refused"),
    ("rcpt", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", "no_such_mailbox", "refused"),
    ("rcpt", "550 5.1.6 moved", "no_such_mailbox", "refused"),
    ("rcpt", "551 User not local", "no_such_mailbox", "refused"),
    ("rcpt", "550 用户不存在", "no_such_mailbox", "refused"),
    ("rcpt", "550 No such user here", "no_such_mailbox", "refused"),
    ("rcpt", "550 5.1.2 Bad destination system", "not_routed", "refused"),
    ("rcpt", "550 5.4.4 Unable to route", "not_routed", "refused"),
    ("rcpt", "550 5.1.10 Domain has a null MX", "no_such_domain", "refused"),
    ("rcpt", "556 5.1.10 Recipient address has null MX", "no_such_domain", "refused"),
    ("rcpt", "553 5.1.3 bad", "bad_address", "refused"),
    ("rcpt", "501 bad address syntax", "bad_address", "refused"),
    ("rcpt", "550 5.2.1 disabled", "mailbox_disabled", "refused"),
    ("rcpt", "550 User suspended", "mailbox_disabled", "refused"),
    ("rcpt", "542 This account isn't allowed to receive email", "mailbox_disabled", "refused"),
    ("rcpt", "452 4.2.2 The recipient's inbox is out of storage space", "mailbox_full", "later"),
    ("rcpt", "552 5.2.2 Mailbox full", "mailbox_full", "later"),
    ("dot", "552 mailbox is full", "mailbox_full", "later"),
    ("rcpt", "550 Quota exceeded or service disabled", "mailbox_full", "later"),
    ("rcpt", "450 4.2.1 switched off for now", "mailbox_off", "later"),
    # size, content, policy
    ("mail", "552 5.3.4 Message size exceeds fixed limit", "too_big", "refused"),
    ("mail", "552 too much", "too_big", "refused"),
    ("mail", "552 quota exceeded", "daily_quota", "hold"),
    ("mail", "552 5.2.2 quota exceeded for sender", "daily_quota", "hold"),
    ("mail", "554 发信额度不足", "daily_quota", "hold"),
    ("dot", "552 5.2.3 Your message exceeded Google's message size limits", "too_big", "refused"),
    (
        "dot",
        "510 The length of DATA content is achieved the maximum threshold",
        "too_big",
        "refused",
    ),
    ("mail", "452 4.3.1 Insufficient system storage", "server_storage", "hold"),
    ("rcpt", "452 full", "server_storage", "hold"),
    ("rcpt", "553 5.6.7 not able", "no_smtputf8", "refused"),
    ("dot", "554 DT:SPM 163 smtp3", "content", "refused"),
    ("dot", "451 DT:SPM please try again", "suspicious", "later"),
    ("dot", "554 Reject by content spam", "content", "refused"),
    ("dot", "550 Mail content denied", "content", "refused"),
    ("dot", "551 virus infected mail rejected", "content", "refused"),
    ("dot", "550 5.7.1 policy", "policy", "refused"),
    ("rcpt", "550 5.7.1 Relaying denied", "policy", "refused"),
    ("rcpt", "554 rejected by recipient's rules: blocked", "policy", "refused"),
    ("dot", "554 no", "content", "refused"),
    ("rcpt", "550 hm", "refused", "refused"),
    # protocol
    ("data", "503 5.5.1 RCPT first", "protocol", "later"),
    ("data", "554 no valid recipients", "protocol", "later"),
    ("mail", "500 what", "protocol", "later"),
    ("mail", "299 what", "protocol", "hold"),
    ("tls", "454 TLS not available", "starttls_refused", "hold"),
]


# What servers of the field say, by provider, besides the above.
FIELD = [
    (row["stage"], row["reply"], row["reason"], row["outcome"])
    for row in csv.DictReader(
        (Path(__file__).parents[1] / "mail" / "field_replies.tsv").open(
            encoding="utf-8", newline=""
        ),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
]
