"""Sender types: how a message leaves for one recipient.

Belongs here: the protocol between the engine and a sender type (`protocol`), one file for each
type, and the register of them all. Does not: SMTP and MIME (`ums.mail`), guarded HTTP (`net`),
senders as they are stored, tested and limited (`senders`).
"""
