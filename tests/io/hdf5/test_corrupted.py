"""Damaged copies of a small file of every format raise our own error or read; none hangs, crashes or fails otherwise.

`SCIML_TEST_SEEDS=300 pytest tests/io/hdf5/test_corrupted.py` tries 300 copies a format; the default is a part of them.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("corrupt.py")
SEEDS = int(os.environ.get("SCIML_TEST_SEEDS", "42"))
FORMATS = (
    "nwb,gwosc,nexus,nexus_events,cxi,euxfel,flash",
    "eventlist,lh5,fast5,uvh5,das,mcs,kwik",
    "brw,brw4,maxwell,nix,velox,emd,dataexchange",
    "ebsd,traces,images,plain,matlab,newest,saved",
    "fieldtrip,snirf,workspace,tiers,febus_g1,labels",
)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("formats", FORMATS, ids=lambda names: names.partition(",")[0])
def test_damaged_copies_raise_only_our_error(tmp_path: Path, formats: str) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, formats, "0", str(SEEDS)],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    lines = done.stdout.splitlines()
    # A hang ends the process with the traceback of where it was, a crash of HDF5 by its signal: the last line says
    # which copy it was.
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    outcomes = [line.split(maxsplit=2) for line in lines]
    assert [line for line, (_, _, outcome) in zip(lines, outcomes, strict=True) if outcome.startswith("wrong")] == []
    tried = Counter(name for name, _, _ in outcomes)
    assert tried == dict.fromkeys(formats.split(","), SEEDS)
    for name in tried:  # neither are all copies unharmed, nor is every one given up
        assert {outcome for one, _, outcome in outcomes if one == name} == {"read", "refused"}
