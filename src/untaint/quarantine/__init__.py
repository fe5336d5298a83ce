"""Acting on a verdict, always reversibly: hold, restore, and the ledger of both."""
