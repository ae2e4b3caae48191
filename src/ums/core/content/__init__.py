"""The content of messages, and the files that come with them.

Belongs here: stored content, attachments, downloads of attachments, uploaded materials.
Does not: MIME (`ums.mail.mime`), templates (`templates`).
"""
