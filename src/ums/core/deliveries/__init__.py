"""Deliveries: one row per recipient, from expansion to the outcome.

Belongs here: expansion of an audience, the queue with claims and leases, retry policy,
suppressions, feedback such as bounces and complaints, quarantine.
Does not: what a message is (`messages`), the loops (`engine`).
"""
