"""The world -> Mention, Progress: sources, polite polling, brands in texts."""
