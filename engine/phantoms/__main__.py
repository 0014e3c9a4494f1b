"""`python -m engine.phantoms PATH.png`: draws the contact sheet of docs/phantoms.md."""

import argparse
from pathlib import Path

from engine.phantoms.sheet import contact_sheet

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Draw the contact sheet of the simulated phantoms.")
    arguments.add_argument("path", type=Path, nargs="?", default=Path("docs/phantoms.png"))
    arguments.add_argument("--tile", type=int, default=112, help="side of an image on the sheet, in pixels")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--patients", type=int, default=3, help="patients per class and scanner")
    wanted = arguments.parse_args()
    contact_sheet(wanted.tile, wanted.seed, wanted.patients).save(wanted.path, optimize=True)
