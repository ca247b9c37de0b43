"""The one exception that stands for a user's mistake."""


class UserError(ValueError):
    """A mistake that the user can mend: one line that names the flag or the file and the way out.

    The commands print the message and leave with status 2, without a traceback.
    """
