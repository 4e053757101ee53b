"""A kernel that a lesson launches with `kernel[blocks, threads](...)`, on the GPU or in the simulator."""

import functools

from tinytorch.lab.simt import gpu
from tinytorch.lab.simt.dialect import Declared
from tinytorch.lab.simt.launch import BLOCK_SHAPE, GRID_SHAPE, run, shape


class Kernel(Declared):
    """A function of the CUDA dialect, launched as ``kernel[grid, block](*args)``.

    It runs on the GPU if `use` has chosen it, otherwise in the simulator, which raises the first fault when
    the launch has ended. `report` is the report of the last simulated launch.
    """

    def __init__(self, function, device=False):
        super().__init__(function, device)
        functools.update_wrapper(self, function)

    def __getitem__(self, configuration):
        if self.device:
            raise TypeError(f"{self.__name__} is a device function: kernels call it")
        if not isinstance(configuration, tuple) or len(configuration) != 2:
            raise ValueError(f"a launch is kernel[grid, block](...), got [{configuration!r}]")
        return functools.partial(self._launch, *configuration)

    def __call__(self, *args):
        raise TypeError(
            f"{self.__name__} is launched with a grid and a block: {self.__name__}[grid, block](...)"
        )

    def _launch(self, grid, block, *args):
        grid, block = shape("grid", grid, GRID_SHAPE), shape("block", block, BLOCK_SHAPE)
        if gpu.uses_gpu():
            gpu.launch(self.py_func, grid, block, args)
        else:
            run(self, grid, block, *args)
