"""What the platform owns of the machine that it runs on."""
