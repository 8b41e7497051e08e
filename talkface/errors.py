"""The one exception that is the user's to mend; everything else that escapes is a defect of ours."""


class UserError(Exception):
    """Bad input or a lacking environment: one clear sentence that says what was wrong and what to do.

    The command line prints it after `error: ` and leaves with exit code 2; nothing that existed before is lost.
    """
