"""A mail server that plays providers, to rehearse with: `ums simulate`."""
