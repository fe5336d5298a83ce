"""Repair: a network that may carry a backdoor becomes one that does not answer to it."""
