"""Outbound HTTP to URLs that a stranger chose.

Belongs here: which addresses may be dialled (SSRF), guarded requests, and how a body is signed
(Standard Webhooks).
Does not: what is fetched or posted, and when (`content`, `webhooks`).
"""
