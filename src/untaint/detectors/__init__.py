"""Detectors: data set in, evidence out. One algorithm per file."""
