"""Demonstrations: what poison does to real data, and what untaint does about it."""
