"""What the system means: its tables and its verbs."""
