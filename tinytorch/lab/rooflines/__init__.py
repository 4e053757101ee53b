"""The roofline in parts; lessons import it as `tinytorch.lab.roofline`."""
