"""Durable memory: a SQLite database, the writer lock and the fingerprint key, side by side in one directory."""
