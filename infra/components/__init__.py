"""What a platform is made of: one component a file, composed by the program in `infra/__main__.py`."""
