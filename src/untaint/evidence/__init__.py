"""From scores to a decision: evidence → calibrated → combined → verdict with findings."""
