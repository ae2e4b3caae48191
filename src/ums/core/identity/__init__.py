"""Who calls, and what they may do.

Belongs here: operators, sessions, passwords, second factors, API tokens, credentials of channels
and access keys, scopes, grants, the throttle of wrong credentials.
Does not: HTTP headers and cookies (`api`, `console`).
"""
