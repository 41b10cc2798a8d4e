"""The parts of the soak: edits, trouble, samples, verdict, report."""
