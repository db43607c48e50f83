"""``mpq reproduce``: the published experiment as plans, what they lack here, and its numbers beside ours."""

from mpq.reproduction.request import Request, pairs

__all__ = ["Request", "pairs"]
