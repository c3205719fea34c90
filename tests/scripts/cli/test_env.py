"""The printed lines set the variables in a shell, whatever their values hold."""

import subprocess

from cli import env


def test_lines_survive_a_shell() -> None:
    variables = {"A": "plain", "B": "two words", "C": 'it\'s $HOME `x` "y"', "D": ""}
    script = env.exports(variables) + "".join(f'printf "%s\\n" "${name}"\n' for name in variables)
    done = subprocess.run(["sh", "-e"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(variables.values())
