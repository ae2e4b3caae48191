"""The worker: expands audiences, sends deliveries, runs imports, tidies up."""
