"""Routes of channels: keys, policy, lists, strategies, webhooks."""
