"""The states of a delivery, in groups (reliability.md 2.1; docs/reference/delivery-states.md)."""

WAITING = ("queued", "deferred")
HELD = ("claimed", "at_dot")
PAUSED = "paused"  # waits for its message to be resumed (core.deliveries.holds)
OPEN = (*WAITING, PAUSED, *HELD)
FINAL = ("sent", "failed", "unknown", "expired", "cancelled", "suppressed", "invalid")
NEVER_VALID = ("invalid", "suppressed")
LOST = (*NEVER_VALID, "failed", "expired", "unknown", "cancelled")

HOLD, RESEND = "hold", "resend"  # what to do with an unknown outcome
