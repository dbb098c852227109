"""Mention -> ScoredMention: its language, and what it says about the brand."""
