"""Numerics: tensors in, tensors out; no files but the data sets', no clock, log, SQL or screen."""
