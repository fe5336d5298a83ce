"""Findings in, text out. A renderer never decides anything."""
