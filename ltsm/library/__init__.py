"""The recipe on anyone's network and data: modules and tensors in, values out; no store, no command line.

What is meant for use is named in `ltsm`; see docs/guide.md.
"""
