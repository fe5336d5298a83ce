"""Hardened training: what slips through does little harm. One defence per file; the loops that run them lie in `engines`."""
