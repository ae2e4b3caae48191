"""Routes of messages: submission, state, actions, approval, events."""
