"""Which of Pulumi's plugins, official or offline, write a stack's state, and when others may go on with it."""
