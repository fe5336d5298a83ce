"""Named tensors of a model on disk, read piece by piece; nothing in a file is run, and its claims are checked against its bytes."""
