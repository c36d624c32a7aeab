"""ltsm: lottery tickets and supermasks for fully connected networks."""

from importlib.metadata import version

__version__ = version("ltsm")
