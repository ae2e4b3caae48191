"""The worker: every loop that runs in the background.

Belongs here: starting, supervising and stopping loops, leases, webhooks, maintenance.
Does not: rules and queries (`core`).
"""
