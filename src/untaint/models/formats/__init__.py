"""Model files, one format a file: opened by their bytes, listed to the last of them, and nothing in them run."""
