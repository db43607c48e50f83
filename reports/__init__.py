"""What people look at, for both halves of the suite: plain tables and curves in, text out."""
