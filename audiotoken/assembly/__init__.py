"""Published parts -> one model folder."""
