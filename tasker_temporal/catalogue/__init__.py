"""The events for others to read: as JSON, JSON Schema and AsyncAPI, and what a new catalogue breaks of an old one."""

from tasker_temporal.catalogue.compare import Change, changes
from tasker_temporal.catalogue.plain import Listed, asyncapi, json_schema, listed, schema_of

__all__ = ["Change", "Listed", "asyncapi", "changes", "json_schema", "listed", "schema_of"]
