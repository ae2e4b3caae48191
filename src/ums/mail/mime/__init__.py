"""MIME messages (RFC 5322, 2045 to 2047).

Belongs here: the builder, header encoding, transfer encodings, HTML to text.
Does not: header fields that callers may add (`mail.custom_headers`).
"""
