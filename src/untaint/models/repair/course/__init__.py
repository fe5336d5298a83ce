"""What is done around a repair: choosing it by name, measuring before and after, trying how fast the backdoor comes back."""
