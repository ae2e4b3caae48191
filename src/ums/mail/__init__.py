"""Mail protocols, without any of our domain.

Belongs here: addresses, transports, outcomes and the classification of replies, bounce parsing,
IMAP, presets of providers, value types of limits.
Does not: databases, channels, deliveries.
"""
