"""The offline `kubernetes` provider: any object of the kinds in `kinds.py`, by server-side apply."""
