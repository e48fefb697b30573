"""The program that a CLI's own hooks run: see `program.py`."""
