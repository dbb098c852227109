"""The processes: they alone know the log, open a transaction, read a clock or count a metric."""
