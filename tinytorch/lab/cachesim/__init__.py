"""The cache simulator in parts; lessons import it as `tinytorch.lab.memory`."""
