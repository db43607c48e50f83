"""Training-free person re-identification: feature sets, exact neighbours, centralisation, evaluation.

Works on any backbone's features and knows nothing of compression.
"""
