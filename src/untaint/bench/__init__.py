"""Measuring attacks and defences against each other on data everybody can get."""
