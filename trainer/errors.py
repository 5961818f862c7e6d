"""What the command line shows as one message instead of a traceback."""


class TrainerError(Exception):
    """The work cannot be done; the message says what was found, where, and what to do."""
