"""Whether a pull request may be merged: one model of it, the rules, and a pure judgement."""
