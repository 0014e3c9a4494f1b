"""Launching a study from a page: its file as a form changes it, uploaded images, and the run as its own process."""
