"""One file per page: choose, load, draw."""
