"""Templates in YAML: the same words, the same digest, and mistakes with their line and a code."""

from tasker_temporal.yaml.declaring import Makes, declare_yaml
from tasker_temporal.yaml.reading import read_template
from tasker_temporal.yaml.registry import Handler, Handlers
from tasker_temporal.yaml.writing import write_template

__all__ = ["Handler", "Handlers", "Makes", "declare_yaml", "read_template", "write_template"]
