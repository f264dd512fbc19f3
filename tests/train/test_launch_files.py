"""The accelerate files are ones that accelerate reads."""

from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "src" / "limo" / "recipes" / "accelerate").glob("*.yaml"))


KINDS = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}


def test_the_three_ways_to_launch_are_there():
    assert {"ddp", "fsdp2", "zero3"} <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", [f for f in FILES if f.stem in KINDS], ids=lambda file: file.stem)
def test_accelerate_reads_the_file_and_its_head_names_it(file):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(file))
    assert str(config.distributed_type.value) == KINDS[file.stem]
    assert config.mixed_precision == "bf16" and config.num_processes == 8
    assert f"--config_file src/limo/recipes/accelerate/{file.name}" in file.read_text()


def test_accelerate_refuses_an_unknown_key(tmp_path):
    from accelerate.commands.config.config_args import load_config_from_file

    bad = tmp_path / "bad.yaml"
    bad.write_text(FILES[0].read_text() + "fsdp_verison: 2\n")
    with pytest.raises(ValueError):
        load_config_from_file(str(bad))
