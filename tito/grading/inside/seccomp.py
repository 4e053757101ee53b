"""The seccomp filter: system calls that a sandboxed process may not make.

The filter is a program of the kernel's packet filter, written here without a library. A call that it
denies fails with EPERM. A system call of another architecture ends the process.
"""

import errno
import functools
import platform
import struct

# struct seccomp_data: the call's number, the architecture, and the low halves of its first arguments.
NUMBER, ARCHITECTURE, FIRST, SECOND, THIRD, FOURTH, HIGH = 0, 4, 16, 24, 32, 40, 4
LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
INSTRUCTION = struct.Struct("=HBBI")

# By `uname -m`: the kernel's number of the architecture, and the column of the table below.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
X32 = 0x40000000  # on x86-64, a second set of numbers for the same calls

# Numbers on x86-64 and on aarch64; -1 if there is no such call. From 424 on they are the same.
DENIED = {
    # other processes' memory and state
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "perf_event_open": (298, 241),
    # memory that no limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    "io_setup": (206, 0),
    # channels to another sandbox: locks and watches on shared files, and the state of the page cache
    "flock": (73, 32),
    "inotify_init": (253, -1),
    "inotify_init1": (294, 26),
    "mincore": (27, 232),
    "cachestat": (451, 451),
    "fadvise64": (221, 223),
    "readahead": (187, 213),
    "preadv2": (327, 286),
    "pwritev2": (328, 287),
    "sysinfo": (99, 179),
    "sync": (162, 81),
    "syncfs": (306, 267),
    # large and rarely needed parts of the kernel
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "personality": (135, 92),
    "modify_ldt": (154, -1),
    "uselib": (134, -1),
    "lookup_dcookie": (212, 18),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "mknod": (133, -1),
    "mknodat": (259, 33),
    # the machine as a whole
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, -1),
    "ioperm": (173, -1),
}
# Calls that set file times do nothing: the machine's own devices are visible, and their times could be set. Only a
# request for the present time is refused, because `Path.touch` makes a missing file after this refusal.
TIMES = {"utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88)}
CLONE, CLONE3, SOCKET, IOCTL = (56, 220), (435, 435), (41, 198), (16, 29)
FCNTL, SIGACTION, SETSOCKOPT, GETSOCKOPT = (72, 25), (13, 134), (54, 208), (55, 209)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ: no lock, lease, watch or larger pipe
FCNTL_ALLOWED = (0, 1, 2, 3, 4, 1030, 1032)
SIGCHLD = 17  # changing its action has no effect, so that the CPU time of ended children is always counted
# Memory that no process shows as its own: huge pages, pages without a file that processes share, and swapped pages.
MMAP, MADVISE = (9, 222), (28, 233)
HUGE_PAGES, SHARED_WITHOUT_A_FILE, PAGE_OUT = 0x40000, 0x21, 21
OF_SOCKETS = 1  # SOL_SOCKET
LARGER = (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF and both with FORCE: memory that no limit counts
COOKIE = 57  # SO_COOKIE, a counter of the whole machine
NEW_NAMESPACES = 0x7E020000  # the flags of clone that make a namespace
UNIX = 1  # the only allowed family of sockets: it cannot leave the sandbox
TYPING = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: write input to the terminal of another process


@functools.cache
def program(machine: str | None = None) -> bytes:
    """The filter for a machine as `uname -m` names it, this one by default.

    Raises
    ------
    KeyError
        If the numbers of that machine's system calls are not known.
    """
    architecture, column = MACHINES[machine or platform.machine()]
    code = [_load(ARCHITECTURE), _jump(EQUAL, architecture, over=1), _return(KILL), _load(NUMBER)]
    if column == 0:
        code += [_jump(AT_LEAST, X32, over=0, otherwise=1), _return(KILL)]
    code += _when(
        CLONE3[column], [_fail(errno.ENOSYS)]
    )  # its flags are in memory, where the filter cannot read; libc then calls clone
    code += _when(
        CLONE[column],
        [_load(FIRST), _jump(ANY_BIT, NEW_NAMESPACES, over=0, otherwise=1), _fail(), _allow()],
    )
    code += _when(SOCKET[column], [_load(FIRST), _jump(EQUAL, UNIX, over=1), _fail(), _allow()])
    code += _when(IOCTL[column], [_load(SECOND), *_unless(TYPING), _allow()])
    allowed = [_load(SECOND)]
    for request in FCNTL_ALLOWED:
        allowed += [_jump(EQUAL, request, over=0, otherwise=1), _allow()]
    code += _when(FCNTL[column], [*allowed, _fail()])
    code += _when(SIGACTION[column], _unchanged(SIGCHLD))
    for numbers, options in ((SETSOCKOPT, LARGER), (GETSOCKOPT, (COOKIE,))):
        denied = [_load(THIRD), *_unless(options)]
        skip = _jump(EQUAL, OF_SOCKETS, over=0, otherwise=len(denied))
        code += _when(numbers[column], [_load(SECOND), skip, *denied, _allow()])
    code += _when(MMAP[column], _of_one_process())
    code += _when(MADVISE[column], [_load(THIRD), *_unless((PAGE_OUT,)), _allow()])
    code += _when(TIMES["utimensat"][column], _refused_without_times())
    for calls, number in ((DENIED, errno.EPERM), (TIMES, 0)):
        for numbers in calls.values():
            if numbers[column] >= 0:
                code += _when(numbers[column], [_fail(number)])
    return b"".join([*code, _allow()])


def _when(number: int, then: list[bytes]) -> list[bytes]:
    return [_jump(EQUAL, number, over=0, otherwise=len(then)), *then]


def _unless(values: tuple[int, ...]) -> list[bytes]:
    """Fail if the loaded word is one of these."""
    return [
        part for value in values for part in (_jump(EQUAL, value, over=0, otherwise=1), _fail())
    ]


def _of_one_process() -> list[bytes]:
    """Refuse mmap of huge pages, and of memory without a file that processes can share."""
    huge = [_load(FOURTH), _jump(ANY_BIT, HUGE_PAGES, over=0, otherwise=1), _fail()]
    shared = [INSTRUCTION.pack(AND, 0, 0, SHARED_WITHOUT_A_FILE)]
    return [*huge, *shared, *_unless((SHARED_WITHOUT_A_FILE,)), _allow()]


def _unchanged(number: int) -> list[bytes]:
    """Have rt_sigaction do nothing for this signal, unless the call only reads: the new action is then null."""
    return [
        _load(FIRST),
        _jump(EQUAL, number, over=0, otherwise=5),
        _load(SECOND),
        _jump(EQUAL, 0, over=0, otherwise=2),
        _load(SECOND + HIGH),
        _jump(EQUAL, 0, over=1),
        _fail(0),
        _allow(),
    ]


def _refused_without_times() -> list[bytes]:
    """Refuse utimensat(2) if its third argument is null, which means the present time; else do nothing."""
    return [
        _load(THIRD),
        _jump(EQUAL, 0, over=0, otherwise=3),
        _load(THIRD + HIGH),
        _jump(EQUAL, 0, over=0, otherwise=1),
        _fail(),
        _fail(0),
    ]


def _load(offset: int) -> bytes:
    return INSTRUCTION.pack(LOAD, 0, 0, offset)


def _jump(kind: int, value: int, over: int, otherwise: int = 0) -> bytes:
    """Skip `over` instructions if the comparison of the loaded word with the value is true, else `otherwise`."""
    return INSTRUCTION.pack(kind, over, otherwise, value)


def _return(value: int) -> bytes:
    return INSTRUCTION.pack(RETURN, 0, 0, value)


def _allow() -> bytes:
    return _return(ALLOW)


def _fail(number: int = errno.EPERM) -> bytes:
    return _return(FAIL | number)
