"""The application context: settings, database, keys, and the directory snapshot.

Belongs here: what is opened once per process and handed to every function of `core`.
Does not: opening it (`maintenance.startup`), and caches of one package, which that package keeps
with `System.shared`.
"""
