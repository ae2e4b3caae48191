"""What stands before the doors: the HTTP server, its limits, and reverse proxies."""
