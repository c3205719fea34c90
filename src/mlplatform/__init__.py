"""The one package behind commands, CI jobs and the platform's services."""
