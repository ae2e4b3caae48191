"""Pages for administrators: operators, tokens, audit log, settings."""
