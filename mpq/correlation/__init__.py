"""How well similarities foretell what a model loses: over operating points, and over the samples of each."""
