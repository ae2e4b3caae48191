"""Settings that administrators change while UMS runs.

Belongs here: validation and storage of such settings, and branding.
Does not: settings of the environment (`ums.config`), rules of one channel (`channels.policy`).
"""
