#!/bin/sh
# As process 1, run the command below tini, which reaps what git leaves behind.
if [ "$$" = 1 ]; then
  exec tini -- "$@"
fi
exec "$@"
