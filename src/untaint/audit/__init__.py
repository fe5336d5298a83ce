"""The run: features, detectors, verdict."""
