"""The loops that run defences: PyTorch with the extra `torch`, Keras with the extra `tensorflow`."""
