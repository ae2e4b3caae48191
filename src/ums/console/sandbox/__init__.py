"""The sandbox's mailbox: mail that the sandbox sender took."""
