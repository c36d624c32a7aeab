"""Rows in, rows out: the only SQL in the program."""
