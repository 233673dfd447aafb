"""The deterministic core: values in, values out.

Nothing in this package reads a clock, draws a random number, awaits, logs, or imports temporalio. So the workflow can
replay it, a test can drive it without a server, and a recorded run can be fed to it again.
"""
