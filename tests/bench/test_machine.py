"""The instruction set by its flags, and the digest of the code."""

from pathlib import Path

import pytest

from bench.machine import code_digest, describe, instruction_set

HASWELL = "sse4_1 avx f16c fma avx2 bmi2"
ALDER_LAKE = f"{HASWELL} avx_vnni"
SKYLAKE = f"{HASWELL} avx512f avx512dq avx512bw avx512vl"
CASCADE_LAKE = f"{SKYLAKE} avx512_vnni"
ZEN_5 = f"{CASCADE_LAKE} avx_vnni avx512_bf16"
SAPPHIRE_RAPIDS = f"{ZEN_5} avx512_fp16 amx_bf16 amx_tile amx_int8"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (HASWELL, "avx2"),
        (ALDER_LAKE, "avx2-vnni"),
        (SKYLAKE, "avx512"),
        (CASCADE_LAKE, "avx512-vnni"),
        (ZEN_5, "avx512-vnni"),
        (SAPPHIRE_RAPIDS, "amx"),
        (f"{ZEN_5} amx_bf16 amx_tile", "avx512-vnni"),
        (f"{HASWELL} avx512f avx512cd", "avx2"),
        ("sse4_1 avx", "other"),
        ("fp asimd neon", "other"),
        ("", "other"),
    ],
)
def test_flags_name_the_instruction_set(flags: str, expected: str) -> None:
    """Only with every flag that oneDNN asks for: AMX needs int8, and the AVX-512 of a Xeon Phi is not enough."""
    assert instruction_set(flags.split()) == expected


@pytest.mark.parametrize(
    ("ceiling", "flags", "expected"),
    [
        ("AVX2", SAPPHIRE_RAPIDS, "avx2"),
        ("avx2", SAPPHIRE_RAPIDS, "avx2"),
        ("AVX2_VNNI", SAPPHIRE_RAPIDS, "avx2-vnni"),
        ("AVX2_VNNI", CASCADE_LAKE, "avx2"),
        ("AVX512_CORE", SAPPHIRE_RAPIDS, "avx512"),
        ("AVX512_CORE_VNNI", SAPPHIRE_RAPIDS, "avx512-vnni"),
        ("AVX512_CORE_BF16", SAPPHIRE_RAPIDS, "avx512-vnni"),
        ("AVX10_1_512", SAPPHIRE_RAPIDS, "avx512-vnni"),
        ("AVX512_CORE_AMX", SAPPHIRE_RAPIDS, "amx"),
        ("AVX512_CORE_AMX", HASWELL, "avx2"),
        ("SSE41", ZEN_5, "other"),
        ("ALL", ZEN_5, "avx512-vnni"),
        ("nonsense", ZEN_5, "avx512-vnni"),
        ("", ZEN_5, "avx512-vnni"),
    ],
)
def test_a_ceiling_hides_what_is_above_it(ceiling: str, flags: str, expected: str) -> None:
    """It gives the processor nothing that it lacks; a value that oneDNN does not know is no ceiling."""
    assert instruction_set(flags.split(), ceiling) == expected


def test_the_ceiling_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the description, too."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")

    machine = describe()

    assert (machine["instruction_set"], machine["ceiling"]) == ("other", "SSE41")


def test_the_digest_changes_with_code_and_models(tmp_path: Path) -> None:
    """With content and names of Python files and of models, and with nothing else."""
    (tmp_path / "imagetext").mkdir()
    (tmp_path / "models" / "retrieval").mkdir(parents=True)
    code, model = tmp_path / "imagetext" / "beam.py", tmp_path / "models" / "retrieval" / "model.safetensors"
    code.write_text("beams = 3\n")
    model.write_bytes(b"weights")
    digests = [code_digest(tmp_path)]

    (tmp_path / "imagetext" / "notes.txt").write_text("no code")
    assert code_digest(tmp_path) == digests[0]

    code.write_text("beams = 4\n")
    digests.append(code_digest(tmp_path))
    model.write_bytes(b"other weights")
    digests.append(code_digest(tmp_path))
    code.rename(code.with_name("search.py"))
    digests.append(code_digest(tmp_path))

    assert len(set(digests)) == 4
