"""What lies between two checkpoints: which tensors belong together, what happened to each, and whether training can have done it."""
