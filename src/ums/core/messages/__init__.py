"""Messages: from a caller's request to a durable row, and control over it afterwards.

Belongs here: request bodies, policy checks, intake, drafts, approval, schedule, pause, cancel,
resend, previews.
Does not: what became of a message (`reporting`).
"""
