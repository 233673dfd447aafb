"""The events for others to read: as JSON and JSON Schema, and what a new catalogue breaks of an old one."""

from tasker_temporal.catalogue.compare import Change, changes
from tasker_temporal.catalogue.plain import Listed, hoisted, json_schema, listed, schema_of

__all__ = ["Change", "Listed", "changes", "hoisted", "json_schema", "listed", "schema_of"]
