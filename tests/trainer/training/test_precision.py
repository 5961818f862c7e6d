"""Which processors compute in bfloat16, by what Linux says of them."""

from pathlib import Path

import keras
import pytest

from trainer.training.precision import computes_bfloat16

X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 {}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86.format("avx512_bf16 sse2"), True),
        (X86.format("amx_bf16"), True),
        (X86.format("avx512f"), False),
        (ARM.format("bf16 i8mm"), True),
        (ARM.format("sve"), False),
        ("model name\t: bf16 inside\n", False),
        (None, False),
    ],
)
def test_flags_decide(
    text: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    processor = tmp_path / "cpuinfo"
    if text is not None:
        processor.write_text(text)
    assert computes_bfloat16(processor) == expected


def test_a_gpu_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    assert computes_bfloat16(tmp_path / "nothing")
