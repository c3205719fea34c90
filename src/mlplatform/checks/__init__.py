"""Which of the repository's own checks a change has to pass."""
