"""The parts of `tinytorch.lab.processes`: a worker process, and how values reach it."""
