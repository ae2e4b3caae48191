"""The installation as a whole.

Belongs here: opening it, health checks, the guard after a restored backup, retention, rotation of
the sealing key, the overview.
Does not: HTTP health routes (`api.health`), commands (`cli`).
"""
