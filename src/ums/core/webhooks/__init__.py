"""Callbacks: telling a channel's own systems what became of its messages (ums-spec 5).

Belongs here: endpoints and their verification, the outbox of events, batches with their retries,
payloads, signatures.
Does not: the loop that sends batches (`engine.webhooks`).
"""
