"""Pages about models, one file each; they know the types of what they show, and so need PyTorch."""
