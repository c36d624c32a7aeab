"""The terminal dashboard: looks, never computes, never writes."""
