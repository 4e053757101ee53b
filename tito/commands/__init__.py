"""The commands, one file for each group of users. A command finds the module, calls one function and prints the result."""
