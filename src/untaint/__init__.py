"""Keep poison out of neural networks."""
