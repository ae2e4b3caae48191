"""The HTTP door for programs: the UMS API, the management API, and the local door."""
