"""Data sets in and out: one format per file, samples read on demand, row order kept, nothing dropped silently."""
