"""Data sets out, in the format they came in: one format per file."""
