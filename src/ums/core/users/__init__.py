"""Users, their addresses, tags and attributes, and segments of them.

Belongs here: `/v1/user/opt`, search and bulk changes, conditions of segments, the audience of a
message.
Does not: spreadsheets of users (`imports`).
"""
