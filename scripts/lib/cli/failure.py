"""What a verb raises when it cannot go on: a message for people, and what to do about it."""


class Failure(Exception):
    """The verb failed. `fix` says what to do next; `code` is the exit status; `tail` the last lines of its log."""

    code = 1

    def __init__(self, message: str, fix: str = "", tail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.tail = tail

    def __str__(self) -> str:
        return self.message


class BadInput(Failure):
    """What the caller gave cannot be used; nothing was changed."""

    code = 2


class Interrupted(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it is no Exception, so that no `except Exception` swallows it."""

    code = 143
