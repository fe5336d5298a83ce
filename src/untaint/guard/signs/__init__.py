"""What gives a triggered input away: one sign, one file."""
