"""The commands, by who uses them. Each finds what it needs, calls one function and prints what came of it."""
