"""Writes the JSON Schema where the package has it: `python -m tests.yaml.publish`."""

from __future__ import annotations

from pathlib import Path

import tasker_temporal.yaml.schema as module

Path(module.__file__).with_name(module.PUBLISHED).write_text(module.schema_text(), encoding="utf-8")
