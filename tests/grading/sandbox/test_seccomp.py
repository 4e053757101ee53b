"""The seccomp filter has the numbers of system calls of both machines."""

import re
from pathlib import Path

import pytest

from tito.grading.inside import seccomp


def test_the_filter_is_right_for_both_machines():
    for machine in seccomp.MACHINES:
        program = seccomp.program(machine)
        assert len(program) % 8 == 0 and len(program) // 8 < 4096
    with pytest.raises(KeyError):
        seccomp.program("riscv64")


@pytest.mark.skipif(
    not Path("/usr/include/asm-generic/unistd.h").exists(), reason="no kernel headers"
)
def test_the_numbers_match_the_kernels_headers():
    headers = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"]
    for column, path in enumerate(headers):
        if Path(path).exists():
            found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(path).read_text()))
            newest = int(found.pop("syscalls", 0)) - 1 or max(map(int, found.values()))
            for name, numbers in (seccomp.DENIED | seccomp.TIMES).items():
                assert numbers[column] > newest or int(found.get(name, -1)) == numbers[column], name
