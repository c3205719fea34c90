"""What the stacks on AWS say, worked out without AWS: names, networks, documents, node sizes."""
