"""The one error that a user is meant to read: input that cannot be used as it is."""

from wheretolook.redaction import redacted


class InputError(Exception):
    """Input that cannot be used: a file, a parameter, a network, the output of a model.

    Raised at the boundaries of the program. A stage and the `wheretolook` command print it without a traceback; any
    other exception is a bug and keeps its traceback. Code reads the fields and never the sentence.

    Secrets in URLs are hidden in every field.

    Attributes:
        subject: the thing at fault: a path, a parameter, a layer. With nothing else given, the whole message.
        expected: what would be right, as a noun phrase; may be empty.
        found: what is there instead; may be empty.
        hint: what to do next, as a sentence without the full stop; may be empty.
    """

    def __init__(self, subject: str, expected: str = "", found: str = "", hint: str = "") -> None:
        parts = tuple(redacted(str(part)) for part in (subject, expected, found, hint))
        super().__init__(*parts)
        self.subject, self.expected, self.found, self.hint = parts

    def __str__(self) -> str:
        """`SUBJECT: expected EXPECTED, found FOUND. HINT.`, without the parts that were not given."""
        parts = [f"expected {self.expected}" if self.expected else "", f"found {self.found}" if self.found else ""]
        facts = ", ".join(part for part in parts if part)
        message = f"{self.subject}: {facts}" if facts else self.subject
        if not self.hint:
            return message
        end = "" if self.hint.endswith((".", "?", "!", "`", '"')) else "."
        return f"{message}. {self.hint[0].upper()}{self.hint[1:]}{end}"
