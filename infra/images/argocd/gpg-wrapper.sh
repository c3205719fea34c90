#!/bin/sh
# Argo CD reads gpg's output and takes 1 (a bad or unknown signature) for an answer, not for a failure.
output=$(gpg "$@" 2>&1)
status=$?
if [ "$status" -gt 1 ]; then
  printf '%s\n' "$output" >&2
  exit "$status"
fi
printf '%s\n' "$output"
