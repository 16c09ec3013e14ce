"""The one error of local life: a sentence that says what is wrong, and how to mend it."""


class LocalError(Exception):
    """Something on this machine is missing or wrong. The message is all that the user needs to see."""
