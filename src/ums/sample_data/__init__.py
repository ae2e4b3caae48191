"""Believable data for development: `ums dev seed` fills an installation with it.

Belongs here: made-up people, channels, templates and messages whose outcome is known already.
Does not: what a first start needs (`cli.processes.bootstrap`), figures of tests and benchmarks.
Nothing here may leave a delivery that an engine would send.
"""
