"""The commands of the course."""

import sys

# jsonschema compiles a grammar for international addresses when it finds this package: over a second
# of CPU, for a format that no notebook uses. With this entry the package counts as not installed.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
