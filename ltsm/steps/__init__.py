"""The steps of the method: what is run, in what order, and the running of it."""
