"""The verbs in `scripts/`: each module with a `main` is one verb, the others are what the verbs share."""
