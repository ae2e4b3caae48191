"""Imports: spreadsheets of users.

Belongs here: uploads, mapping of columns, the dry run, applying rows in batches, undo,
rejected rows.
Does not: reading the file (`spreadsheets`), the rules of a user's data (`users`).
"""
