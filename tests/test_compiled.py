import stat
import sys
import types
import zlib

import jax
import pytest

from experiments.cli import compiled


@pytest.fixture
def updates(monkeypatch):
    """What JAX is told, instead of telling it."""
    told = {}
    monkeypatch.setattr(jax.config, "update", told.__setitem__)
    return told


def test_compiled_programs_are_kept_for_the_owner_alone(tmp_path, monkeypatch, updates):
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path / "cache"))
    compiled.keep_compiled_programs()
    [directory] = (tmp_path / "cache" / "compiled").iterdir()
    assert updates["jax_compilation_cache_dir"] == str(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_programs_that_others_could_exchange_are_not_run(tmp_path, monkeypatch, capsys, updates, mode):
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path))
    compiled.keep_compiled_programs()
    [directory] = (tmp_path / "compiled").iterdir()
    updates.clear()
    directory.chmod(mode)
    compiled.keep_compiled_programs()
    assert updates == {}
    assert f"{directory} is open to others" in capsys.readouterr().err


def test_without_a_place_to_keep_them_programs_are_compiled_anew(tmp_path, monkeypatch, updates):
    (tmp_path / "file").touch()
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path / "file"))
    compiled.keep_compiled_programs()
    assert updates == {}


def test_entries_that_a_killed_process_left_half_written_are_removed(tmp_path):
    whole = zlib.compress(bytes(range(256)) * 40)
    entries = {"whole": whole, "torn": whole[:-3], "short": whole[:1], "empty": b"", "other": b"\x28\xb5\x2f\xfd??"}
    for name, data in entries.items():
        (tmp_path / f"{name}-cache").write_bytes(data)
    (tmp_path / "notes").write_bytes(b"")
    compiled.remove_torn_entries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".checked", "notes", "other-cache", "whole-cache"]
    (tmp_path / "new-cache").write_bytes(whole[:-1])
    compiled.remove_torn_entries(tmp_path)
    assert not (tmp_path / "new-cache").exists()


def test_a_torn_entry_of_zstandard_is_noticed_by_the_module_that_jax_takes(monkeypatch):
    def decompress(data):
        if not data.endswith(b"end"):
            raise LookupError("did not decompress full frame")

    monkeypatch.setitem(sys.modules, "compression.zstd", types.SimpleNamespace(decompress=decompress))
    whole = b"\x28\xb5\x2f\xfd of zstandard's end"
    assert not compiled._is_torn(whole)
    assert all(compiled._is_torn(whole[:length]) for length in range(len(whole)))
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not compiled._is_torn(whole[:-1])  # nobody here could use it whole


def test_jax_takes_entries_that_are_compressed_as_expected(tmp_path):
    """Should it choose another compression, torn entries would stay."""
    from jax._src import compilation_cache

    data = compilation_cache.compress_executable(b"a program")
    assert data[:1] in (b"\x78", b"\x28")  # zlib or zstandard
    assert not compiled._is_torn(data)
