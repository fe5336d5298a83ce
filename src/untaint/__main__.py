"""`python -m untaint`: the command line, where the script `untaint` is not on the path."""

from untaint.cli.app import run

if __name__ == "__main__":
    run()
