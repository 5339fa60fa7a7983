"""Freed memory stays: asking for it again costs no page faults."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from heedful.models.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(16, 2**20)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_freed_memory(), faults(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_blocks_are_handed_out_again_without_page_faults() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stdout.split()
    before, kept, _, after = told
    assert kept == "True"
    assert int(after) < int(before) / 4
