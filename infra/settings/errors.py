"""What is raised when a setting cannot be used."""


class SettingsError(ValueError):
    """A setting that cannot be used. The message names the file, the key and what would work."""
