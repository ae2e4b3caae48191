"""Mail protocols, without any of our domain.

Belongs here: addresses, e-mail accounts, outcomes and the classification of replies, bounces,
IMAP, presets of providers, value types of limits.
Does not: databases, channels, deliveries.
"""
