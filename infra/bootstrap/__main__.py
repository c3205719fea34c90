"""What an account needs before its first stack: a stack of this project is an account, named by its twelve digits."""

import sys
from pathlib import Path

# The platform's own modules: this folder is a program of its own beside them.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pulumi

from bootstrap import account
from settings import SettingsError

try:
    account.compose(account.load(pulumi.get_stack()))
except SettingsError as error:
    # The engine shows a RunError's message without a traceback.
    raise pulumi.RunError(str(error)) from None
