"""Channels, and the policy that each holds its messages to.

Belongs here: channels and their secrets, quiet hours, broadcast quota, blocked words, access lists,
strategies.
Does not: applying the policy to a message (`messages.acceptance_checks`, `deliveries`).
"""
