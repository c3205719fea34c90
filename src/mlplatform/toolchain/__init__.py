"""What this host trusts of the files and images that upstream serves."""
