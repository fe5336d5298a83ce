"""Model inversion: what a model gives away of the classes it was trained on, and what that is worth to who poisons."""
