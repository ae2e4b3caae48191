"""Pages of messages: compose, check, send, follow, control; materials."""
