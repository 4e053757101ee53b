"""The complete system on the handwritten digits: train, compress, accelerate, measure, serve, and recover from drift."""
