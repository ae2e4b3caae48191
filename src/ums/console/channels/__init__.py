"""Pages of channels: keys, policy, lists, words, strategies, webhooks."""
