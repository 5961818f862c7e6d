"""What the processor computes in."""

import contextlib
from pathlib import Path

import keras

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86 with tiles, Arm


def computes_bfloat16(processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether bfloat16 saves time here: on a GPU, or on a processor that has instructions for it.

    Others imitate it, several times slower than they compute in float32.

    Args:
        processor: Where Linux describes the processor; where there is no such file, there are no
            such instructions, as far as anybody knows.
    """
    with contextlib.suppress(AttributeError):  # Keras cannot list the devices of PyTorch
        if not all("cpu" in device.lower() for device in keras.distribution.list_devices()):
            return True
    try:
        lines = processor.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(
        line.lower().startswith(("flags", "features")) and _FLAGS & set(line.split())
        for line in lines
    )
