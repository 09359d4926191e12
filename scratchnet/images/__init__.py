"""Layers for images (N, C, H, W): convolution, pooling, and changes of shape."""
