"""`python -m tasker_temporal` is the `tasker` command."""

from tasker_temporal.cli import main

if __name__ == "__main__":
    main()
