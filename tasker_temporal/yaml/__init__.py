"""Templates in YAML: the same words, the same digest, and mistakes with their line and a code."""

from tasker_temporal.yaml.reading import read_template
from tasker_temporal.yaml.writing import write_template

__all__ = ["read_template", "write_template"]
