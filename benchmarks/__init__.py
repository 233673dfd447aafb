"""Measurements of the library's own cost. Each module runs as `python -m benchmarks.NAME`."""
