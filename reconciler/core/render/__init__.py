"""A plan as people and programs read it: text, JSON, Markdown. Nothing here decides anything."""
