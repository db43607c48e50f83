"""Machine perceptual quality: task scores of models on what a codec left of their input, against rate."""

__version__ = "0.1.0"
