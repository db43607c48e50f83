"""The one error type that is meant for users, and other people's errors put into its one sentence."""


class UserError(Exception):
    """A mistake or a lack that the user can mend: one sentence that names the thing. Exit status 2."""


def first_line(error: Exception) -> str:
    """What somebody's library says of its error, as far as its first line; the error's name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
