"""Pages of users: list, imports, segments, suppressions."""
