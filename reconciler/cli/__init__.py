"""The command line: arguments in, text out. A file per command; each imports what it needs when it runs."""
