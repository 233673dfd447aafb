"""The codes of mistakes in a YAML file. A code never changes its meaning; one that is given up is not used again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    "TT-Y001": "file that cannot be read",
    "TT-Y002": "text that is not YAML",
    "TT-Y003": "file that is too large",
    "TT-Y004": "tag",
    "TT-Y005": "key that stands twice",
    "TT-Y006": "key that is no text",
    "TT-Y010": "unknown key",
    "TT-Y011": "value of another kind",
    "TT-Y012": "value that is not allowed",
    "TT-Y013": "value that is no duration",
    "TT-Y014": "missing key",
    "TT-Y020": "unknown step",
    "TT-Y021": "template that is not sound",
    "TT-Y022": "unknown event",
    "TT-Y023": "unknown branch",
    "TT-Y024": "condition that cannot be evaluated",
    "TT-Y030": "unknown handler",
    "TT-Y031": "handler that does not fit",
    "TT-Y032": "types that do not fit",
    "TT-Y033": "unknown type",
    "TT-Y034": "file that contradicts its handlers",
}
"""Every code, and what it is about."""
