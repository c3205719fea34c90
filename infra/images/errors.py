"""The one error of this package."""


class ImageError(Exception):
    """An image that cannot be had. The message says what failed and what would help."""
