"""The nouns of the broker, without rules."""
