"""Outbound HTTP to URLs that a stranger chose.

Belongs here: the policy of addresses that may be dialled (SSRF), and one guarded request.
Does not: what is fetched or posted, and when (`content`, `webhooks`).
"""
