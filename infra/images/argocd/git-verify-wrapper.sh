#!/bin/sh
# Checks the signature of a commit or an annotated tag. Argo CD reads the output and takes 1 (no valid signature) for an
# answer, not for a failure.
if [ -z "${1:-}" ]; then
  echo "usage: git-verify-wrapper.sh REVISION" >&2
  exit 1
fi

kind=commit
if git describe --exact-match "$1" >/dev/null 2>&1; then kind=tag; fi
output=$(git "verify-$kind" "$1" 2>&1)
status=$?
if [ "$status" -gt 1 ]; then
  printf '%s\n' "$output" >&2
  exit "$status"
fi
# git says "error: no signature found" of an unsigned tag, and nothing of an unsigned commit.
case "$kind:$output" in
  tag:error:*) output="" ;;
esac
printf '%s\n' "$output"
