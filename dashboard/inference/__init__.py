"""The door to the one process of the dashboard that may load torch, that process, and whose turn it is."""
