"""Networks of published re-identification checkpoints, whose parameters are called what the files call them."""
