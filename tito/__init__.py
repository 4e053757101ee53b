"""The commands of the course."""

import sys

# jsonschema compiles a grammar for international addresses when it finds this package: over a second
# of CPU, for a format that no notebook uses. It takes the absence of the package for a no.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
