"""What is wrong with a task's files: schemas, rules about single keys, rules across files, and words for all of it."""
