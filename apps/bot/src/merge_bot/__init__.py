"""The bot: merges what people approved, and says of everything else what is missing."""
