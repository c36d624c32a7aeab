"""How fast it is: this program beside others, on this machine."""
