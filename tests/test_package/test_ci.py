"""What ``.ci/run`` makes of the two runs of ``make``: both closing lines and an honest status."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
#: Ends as pytest and then ruff end, with the status that the variable of the stack has.
MAKE = """#!/usr/bin/env bash
echo "collected some"
case "$*" in
"test STACK=onedl") echo "=== 812 passed, 3 skipped in 301.12s (0:05:01) ==="; status=$ONEDL ;;
"test STACK=openmmlab MARK=stack") echo "=== 41 passed in 59.80s ==="; status=$OPENMMLAB ;;
*) status=9 ;;
esac
echo "All checks passed!"
exit $status
"""


@pytest.mark.parametrize(("onedl", "openmmlab"), [(0, 0), (2, 0), (0, 2)])
def test_both_runs_close_visibly_and_either_can_fail(tmp_path, onedl, openmmlab):
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPO / ".ci" / "run", tmp_path / ".ci" / "run")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text(MAKE)
    make.chmod(0o755)
    env = {**os.environ, "ONEDL": str(onedl), "OPENMMLAB": str(openmmlab)}
    env["PATH"] = f"{make.parent}:{env['PATH']}"
    done = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True, env=env)
    *_, first, second, verdict = done.stdout.splitlines()
    assert "STACK=onedl: === 812 passed, 3 skipped in 301.12s (0:05:01) ===" in first
    assert f"(exit status {onedl})" in first
    assert "STACK=openmmlab MARK=stack: === 41 passed in 59.80s ===" in second
    assert f"(exit status {openmmlab})" in second
    fails = bool(onedl or openmmlab)
    assert (done.returncode != 0) == fails
    assert verdict.startswith("ci: FAILED" if fails else "ci: passed")


def test_a_run_without_tests_is_a_failure(tmp_path):
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPO / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "make").write_text("#!/usr/bin/env bash\n")
    (tmp_path / "make").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert done.stdout.count("no test ran") == 2
