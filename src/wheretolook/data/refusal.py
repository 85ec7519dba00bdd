"""The one error that a user is meant to read: something outside the program cannot be used as it is."""


class Refusal(Exception):
    """Input that was refused. The message names the thing, what was expected, what was found, and the remedy.

    Raised at the boundaries only (files, parameters, the network, a model's output). A stage and the console
    command show it without a traceback; any other exception is a bug, and keeps its own.
    """
