"""What people look at, for both halves of the suite: plain numbers in, intervals, tables, curves and text out."""
