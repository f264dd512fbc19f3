"""The accelerate files are ones that accelerate reads."""

from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "src" / "limo" / "recipes" / "accelerate").glob("*.yaml"))


def test_the_three_ways_to_launch_are_there():
    assert [file.stem for file in FILES] == ["ddp", "fsdp2", "zero3"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_reads_the_file_and_its_head_names_it(file):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(file))
    kind = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[file.stem]
    assert str(config.distributed_type.value) == kind
    assert config.mixed_precision == "bf16" and config.num_processes == 8
    assert f"--config_file src/limo/recipes/accelerate/{file.name}" in file.read_text()


def test_accelerate_refuses_an_unknown_key(tmp_path):
    from accelerate.commands.config.config_args import load_config_from_file

    bad = tmp_path / "bad.yaml"
    bad.write_text(FILES[0].read_text() + "fsdp_verison: 2\n")
    with pytest.raises(ValueError):
        load_config_from_file(str(bad))
