"""The machine in parts; lessons import it as `tinytorch.lab.hardware`."""
