"""What triggers a network answers to: one search for patches, blends and warps, and what an untouched network would answer."""
