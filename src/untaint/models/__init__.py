"""Checks of a model file or a loaded model, one file each; repair beside them."""
