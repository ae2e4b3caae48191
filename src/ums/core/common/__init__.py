"""Small parts that every package may use.

Belongs here: pagination, sorting, preconditions, idempotency, encryption of stored secrets, rate
limits, timestamps, grammars of identifiers.
Does not: anything that knows a channel, a message or a sender.
"""
