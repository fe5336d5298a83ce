"""Model files that would run code, or are not what they say: made here, of every published class, to see what a scanner makes of them."""
