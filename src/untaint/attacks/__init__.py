"""Poison with ground truth: one file per attack, for measuring what an audit or a defence would have caught."""
