"""The one error type that is meant for users."""


class UserError(Exception):
    """A mistake or a lack that the user can mend: one sentence that names the thing. Exit status 2."""
