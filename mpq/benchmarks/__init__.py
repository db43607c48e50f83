"""How fast things are beside what they cannot do without, measured side by side in one run."""
