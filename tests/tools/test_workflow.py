"""What the workflow on GitHub must not lose: it cannot be run here, so it is read."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf8"))
JOBS = WORKFLOW["jobs"]


def test_only_what_all_jobs_of_a_push_have_passed_is_deployed():
    on_a_push = {name for name, job in JOBS.items() if "github.event_name ==" not in job.get("if", "")}
    assert set(JOBS["deploy"]["needs"]) == on_a_push - {"deploy", "colab"}
    assert "test" in on_a_push
    assert [path.name for path in (ROOT / ".github" / "workflows").iterdir()] == ["test.yml"]
    uploads = [name for name, job in JOBS.items() for step in job["steps"] if "upload-pages-artifact" in step.get("uses", "")]
    assert uploads == ["test"], "the pages that were tested, not others"


def test_colab_gets_the_chapters_after_all_that_and_only_this_job_may_write():
    assert JOBS["colab"]["needs"] == "deploy"
    assert JOBS["colab"]["if"] == JOBS["deploy"]["if"]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [name for name, job in JOBS.items() if job.get("permissions", {}).get("contents") == "write"] == ["colab"]
    commands = JOBS["colab"]["steps"][-1]["run"]
    assert "--initial-branch colab\n" in commands, "the branch that book/_ext/publishing.py leads to"
    assert commands.rstrip().endswith(" colab")


def test_a_failing_command_stops_a_job_on_windows_too():
    assert any("windows" in system for system in JOBS["test"]["strategy"]["matrix"]["os"])
    assert JOBS["test"]["defaults"]["run"]["shell"] == "bash"


def test_a_hosted_mac_is_not_asked_for_its_gpu():
    assert WORKFLOW["env"]["ATTN_DEVICE"] == "cpu"


def test_every_supported_python_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    first, end = re.fullmatch(r">=3\.(\d+)\.\d+,<3\.(\d+),.*", project["requires-python"]).groups()
    assert JOBS["test"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(first), int(end))]


def test_ruff_has_one_version():
    pinned = re.search(r"^ruff==(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf8"), re.MULTILINE)
    if pinned is None:
        pytest.skip("requirements.txt has no pins: tools.unpin took them out")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf8"))["repos"]
    assert [repo["rev"] for repo in hooks if "ruff" in repo["repo"]] == [f"v{pinned[1]}"]
