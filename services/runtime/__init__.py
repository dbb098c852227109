"""What every process stands on: settings, the log, the database, the clock, metrics, shutdown."""
