"""The older name of `InputError`, with the whole message as its subject; new code uses `wheretolook.errors`."""

from wheretolook.errors import InputError

Refusal = InputError
