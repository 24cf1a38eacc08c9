"""What can be asked for, a file a verb: keywords in, files out, written whole or not at all."""
