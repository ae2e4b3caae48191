"""What became of messages.

Belongs here: message, delivery and attempt queries, statistics, failure reasons in words, estimated
completion.
Does not: anything that writes.
"""
