"""The commands of ``mpq``: they parse, call and print. Heavy modules are imported inside them: ``--help`` must answer at once."""
