"""How long a test waits for what must come: far longer than it takes, on however slow a machine."""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 240.0
"""Seconds. Less than a test may take in all (`timeout` of pytest), so that what did not come is named."""
