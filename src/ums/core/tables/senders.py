"""Senders: the accounts that messages go out through, and what is known of each."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, SmallInteger, String, Text, false

from ums.core.tables.base import Id, Time, table

senders = table(
    "senders",
    Column("id", Id, primary_key=True),
    Column("code", String(30), nullable=False, unique=True),
    Column("name", String(30), nullable=False, unique=True),
    Column("type", String(20), nullable=False),
    Column("settings", Text, nullable=False),  # JSON; its shape is the sender type's
    Column("secret", Text),  # sealed, bound to where it may be sent
    Column("open", Boolean, nullable=False),
    Column("cooldown_until", Time),  # no new session before this moment
    Column("cooldown_reason", String(60)),
    Column("cooldown_detail", Text),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("caps", Text, nullable=False, server_default="[]"),  # JSON, mail.send_limits.SendLimit
    Column(
        "urgent_reserve_percent", SmallInteger, nullable=False, server_default="10"
    ),  # % of each cap
    # Its caps are reached until then, for all mail and for urgent mail.
    Column("cap_reached_until", Time),
    Column("urgent_cap_reached_until", Time),
    # How many sessions its server was seen to take (learned_limits), and until when no more.
    Column("session_limit", Integer),
    Column("session_limit_until", Time),
    # How it is warmed up (core.senders.warm_up), with today's mails and the end of today.
    Column("warm_up", Text),  # JSON, mail.warm_up_plan.WarmUp
    Column("warm_up_count", Integer, nullable=False, server_default="0"),
    Column("warm_up_day_ends_at", Time),
    Column("warm_up_frozen", Boolean, nullable=False, server_default=false()),
    # By what became of its last mails (reputation): one session at a time, and nothing to
    # several people before an operator confirms.
    Column("throttled_until", Time),
    Column("suspended_at", Time),
    Column("created_at", Time, nullable=False),
)

# What was sent, or is about to be, against the caps of a sender (core.senders.quota_ledger).
cap_usage = table(
    "cap_usage",
    Column("sender_id", Id, ForeignKey("senders.id", ondelete="CASCADE"), primary_key=True),
    Column("cap", String(80), primary_key=True),  # Cap.key
    Column("window_start", Time, primary_key=True),  # of the slot
    Column("used", Integer, nullable=False),
)

# What became of a sender's last mails, counted by the time (core.senders.reputation).
sender_outcomes = table(
    "sender_outcomes",
    Column("sender_id", Id, ForeignKey("senders.id", ondelete="CASCADE"), primary_key=True),
    Column("slot", Time, primary_key=True),
    Column("total", Integer, nullable=False),
    Column("bounced", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("complained", Integer, nullable=False, server_default="0"),
)

# The mailboxes of senders' accounts, over IMAP (core.senders.mailboxes).
mailboxes = table(
    "mailboxes",
    Column("sender_id", Id, ForeignKey("senders.id", ondelete="CASCADE"), primary_key=True),
    Column("settings", Text, nullable=False),  # JSON, mail.imap.MailboxSettings
    Column("secret", Text, nullable=False),  # sealed, bound to where it may be sent
    Column("uidvalidity", Id, nullable=False, server_default="0"),  # how far letters are read:
    Column("uid", Id, nullable=False, server_default="0"),  # mail.imap.Place
    Column("found_sent_folder", Text, nullable=False, server_default=""),
    Column("polled_at", Time),
    Column("next_poll_at", Time, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("problem", String(60), nullable=False, server_default=""),
    Column("problem_detail", Text, nullable=False, server_default=""),
    # Deliveries that were in doubt and had arrived, that came back, that were complained about.
    Column("arrived", Integer, nullable=False, server_default="0"),
    Column("bounced", Integer, nullable=False, server_default="0"),
    Column("complained", Integer, nullable=False, server_default="0"),
)

# How fast the domains that were too slow for a sender take its mail (core.senders.learned_limits).
domain_rates = table(
    "domain_rates",
    Column("sender_id", Id, ForeignKey("senders.id", ondelete="CASCADE"), primary_key=True),
    Column("domain", String(255), primary_key=True),
    Column("per_minute", Integer, nullable=False),
    Column("resume_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
)
