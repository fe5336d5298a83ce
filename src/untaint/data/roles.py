"""Which column is the label, the source, the payload: found by name and content, or named by the user."""
