"""Child processes for work that may crash, hang or exhaust memory.

Belongs here: starting such a process, and the limits that it sets on itself.
Does not: the work itself (`spreadsheets`, `templates`, `deliveries.mailbox_worker`).
"""
