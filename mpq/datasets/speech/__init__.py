"""Speech, with transcripts or without."""
