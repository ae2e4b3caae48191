"""The SMTP client (RFC 5321, 2920, 3207, 4954).

Belongs here: connecting, the session, commands, the reply parser.
Does not: what a reply means for a delivery (`mail.reply_classifier`).
"""
