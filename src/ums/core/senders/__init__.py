"""Senders: the accounts that mail goes out through.

Belongs here: accounts, connection tests, sending quotas, cooldown, reputation, warm-up, learned
limits, routes, mailboxes of the accounts.
Does not: the SMTP protocol (`ums.mail.smtp`), sessions (`engine.delivery`).
"""
