"""Pages of senders: account, limits, mailbox, reply rules."""
