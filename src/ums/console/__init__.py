"""The pages people look at: HTML made on the server, htmx on top."""
