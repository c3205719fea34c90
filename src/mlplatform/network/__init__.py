"""What may connect to what on one machine: which places jobs need beyond the platform, and whether policies hold."""
