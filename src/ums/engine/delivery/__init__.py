"""Sending: from claimed deliveries to recorded outcomes.

Belongs here: the dispatcher, the session pool of each sender, its job queue and quota lease, the
journal of intents and results, throttles.
Does not: SMTP (`mail.smtp`), the queue's statements (`core.deliveries.queue`).
"""
