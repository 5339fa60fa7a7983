"""Memory that is freed stays with the process.

glibc gives large blocks back to the system at once, and a training step asks for the same
ones again and again: the system clears every page anew, which can take longer than what is
computed in them (docs/performance.md). Other C libraries are left alone.
"""

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 2**30  # bytes; larger blocks are mapped and given back as before
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have the allocator keep what is freed from now on; whether it can.

    What earlier stages left is given back first, so that a run begins with little.
    """
    gc.collect()
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        kept = library.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        return bool(kept and library.mallopt(_M_TRIM_THRESHOLD, _NEVER))
    except (AttributeError, OSError, TypeError):
        return False
