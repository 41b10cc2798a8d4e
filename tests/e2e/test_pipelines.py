"""The shell of the example pipelines, run as a code host runs it, against repositories and an API on this machine."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import published
from tests.e2e.codehosts import BOT, TOKEN, code_host
from tests.programs import need
from tests.projects import KAFKA, ROOT, Ended, environment
from tests.repositories import Repo, git_environment

CI = ROOT / "docs" / "ci"
MARKER = "<!-- reconciler plan -->"
HOSTILE = "x'; touch pwned; '$(touch pwned)`touch pwned`\"\\n"
BIN = str(Path(sys.executable).parent)
CONFIG = '[desired_state]\nsource = "git"\n[targets.default]\nurl = "{url}"\nusername = "admin"\npassword = "${{env:OMS_PASSWORD}}"\n'


@pytest.fixture(autouse=True, scope="module")
def _programs():
    need("curl", "jq")


@pytest.fixture
def repo(project):
    """The samples on main, and a branch for a change."""
    made = Repo.make(project.root)
    made.write(".gitignore", "state/\n")
    made.write("reconciler.toml", CONFIG.format(url=project.url))
    made.commit("samples")
    made.git("checkout", "--quiet", "-b", "change")
    return made


@pytest.fixture
def host():
    with code_host() as made:
        yield made


def sh(folder, *arguments, trace=False, **environ):
    """A script of docs/ci, in the top folder of a working tree."""
    script, *rest = arguments
    done = subprocess.run(
        ["sh", *(["-x"] if trace else []), CI / script, *rest],
        cwd=folder,
        env=environment() | git_environment(folder) | {"PATH": f"{BIN}:/usr/bin:/bin"} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def change(repo, task=KAFKA, file="coordinator", **members):
    path = repo.path / "desired_state" / task / f"{file}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))
    return repo.commit("a change")


# --- plan.sh ---------------------------------------------------------------------------------------------------------


def test_a_change_is_told_and_may_be_merged(repo):
    change(repo, throttleRps="20000")
    assert sh(repo.path, "plan.sh", "main", "report.md").code == 0
    report = (repo.path / "report.md").read_text()
    assert report.startswith(f"{MARKER}\n")
    assert "throttleRps" in report


def test_no_change_is_a_report_too(repo):
    repo.commit("only words", {"README.md": "x"})
    assert sh(repo.path, "plan.sh", "main", "report.md").code == 0
    assert (repo.path / "report.md").read_text().startswith(MARKER)


def test_what_others_merged_meanwhile_is_not_told(repo):
    change(repo, throttleRps="20000")
    repo.git("checkout", "--quiet", "main")
    change(repo, connectorJvmParam="-server -Xms8g -Xmx8g")
    repo.git("checkout", "--quiet", "change")
    assert sh(repo.path, "plan.sh", "main", "report.md").code == 0
    assert "connectorJvmParam" not in (repo.path / "report.md").read_text()


def test_an_invalid_task_fails_and_is_reported(repo):
    change(repo, throttleRps="many")
    ended = sh(repo.path, "plan.sh", "main", "report.md")
    assert (ended.code, ended.err) == (1, "plan.sh: a task is invalid; see the report\n")
    assert "throttleRps" in (repo.path / "report.md").read_text()


def test_a_blocked_change_fails_and_is_reported(repo):
    change(repo, task="mysql-to-oceanbase", file="condition", whiteCondition=[{"name": "shop"}])
    ended = sh(repo.path, "plan.sh", "main", "report.md")
    assert (ended.code, ended.err) == (3, "plan.sh: something is blocked; see the report\n")
    assert "blocked" in (repo.path / "report.md").read_text()


def test_with_state_tells_what_would_be_sent(repo, project):
    project.configure(new_tasks="adopt")
    assert project.reconciler("adopt", "--all").code == 0
    repo.write("reconciler.toml", CONFIG.format(url=project.url))
    change(repo, throttleRps="20000")
    ended = sh(repo.path, "plan.sh", "main", "report.md", "--with-state")
    assert (ended.code, ended.err) == (0, "")
    assert (repo.path / "report.md").read_text().startswith(MARKER)
    assert project.updates == ()


def test_a_shallow_clone_says_what_to_fetch(repo, tmp_path):
    change(repo, throttleRps="20000")
    shallow = repo.clone(tmp_path / "shallow", "--depth=1", "--branch=change", "--no-single-branch")
    ended = sh(shallow.path, "plan.sh", "origin/main", "report.md")
    assert ended.code == 64
    assert "no common commit of origin/main and HEAD is in this clone" in ended.err
    assert "fetch-depth: 0" in ended.err
    assert not (shallow.path / "report.md").exists()


def test_a_base_that_is_not_there_says_what_to_fetch(repo):
    assert "GIT_DEPTH: 0" in sh(repo.path, "plan.sh", "0" * 40, "report.md").err


def test_where_nothing_can_be_compared_no_report_is_promised(repo):
    repo.git("rm", "-r", "--quiet", "desired_state")
    repo.commit("nothing left")
    ended = sh(repo.path, "plan.sh", "main", "report.md")
    assert (ended.code, "see the report" in ended.err, "there is no report" in ended.err) == (1, False, True)
    assert "the desired state cannot be read from commit" in ended.err
    assert not (repo.path / "report.md").exists()


def test_a_report_of_before_is_never_left_behind(repo):
    repo.write("report.md", "of before")
    (repo.path / "reconciler.toml").unlink()
    assert sh(repo.path, "plan.sh", "main", "report.md").code == 64
    assert not (repo.path / "report.md").exists()


def test_plan_needs_both_arguments(repo):
    assert sh(repo.path, "plan.sh", "main").code == 64


# --- comments --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["github", "gitlab"])
def comment(request, tmp_path, host):
    """Run the script of a code host that comments with a report."""

    def run(report="report", *, trace=False, **environ):
        tmp_path.joinpath("report.md").write_text(f"{MARKER}\n{report}\n")
        given = {
            "github": {
                "GITHUB_TOKEN": TOKEN,
                "PULL_REQUEST": "5",
                "GITHUB_API_URL": host.url,
                "GITHUB_REPOSITORY": "shop/config",
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            },
            "gitlab": {
                "RECONCILER_TOKEN": TOKEN,
                "CI_API_V4_URL": host.url,
                "CI_MERGE_REQUEST_PROJECT_ID": "3",
                "CI_MERGE_REQUEST_IID": "5",
            },
        }[request.param]
        return sh(tmp_path, f"comment-{request.param}.sh", "report.md", trace=trace, **(given | environ))

    run.host = request.param
    return run


def test_the_first_run_posts_and_the_second_edits(comment, host):
    assert comment("one").code == 0
    assert comment("two").code == 0
    assert host.writes == ["POST", {"github": "PATCH", "gitlab": "PUT"}[comment.host]]
    assert host.bodies == [f"{MARKER}\ntwo\n"]


def test_addresses_are_those_of_the_review(comment, host):
    comment("one")
    comment("two")
    posted, edited = [path for method, path in host.requests if method != "GET"]
    assert (posted, edited) == {
        "github": ("/repos/shop/config/issues/5/comments", "/repos/shop/config/issues/comments/100"),
        "gitlab": ("/projects/3/merge_requests/5/notes", "/projects/3/merge_requests/5/notes/100"),
    }[comment.host]


def test_the_comment_is_found_behind_many_others(comment, host):
    host.add("chat", "ann", number=230)
    host.add(f"{MARKER}\nold\n")
    assert comment("new").code == 0
    assert host.bodies[-1] == f"{MARKER}\nnew\n"
    assert "POST" not in host.writes


def test_a_full_last_page_is_no_reason_to_stop_or_to_go_on_for_ever(comment, host):
    host.add("chat", "ann", number=100)
    assert comment("new").code == 0
    assert len(host.comments) == 101


def test_a_comment_of_somebody_else_with_the_marker_is_left_alone(comment, host):
    host.add(f"{MARKER}\nlooks like ours\n", "mallory")
    assert comment("new").code == 0
    assert host.bodies == [f"{MARKER}\nlooks like ours\n", f"{MARKER}\nnew\n"]


def test_a_comment_that_quotes_the_marker_is_left_alone(comment, host):
    host.add(f"I mean {MARKER}", BOT)
    assert comment("new").code == 0
    assert len(host.comments) == 2


def test_any_text_arrives_as_it_is(comment, host, tmp_path):
    text = f'{HOSTILE} {{"a": 1}} é \u202e % %s ${{HOME}} -- @file'
    assert comment(text).code == 0
    assert host.bodies == [f"{MARKER}\n{text}\n"]
    assert not (tmp_path / "pwned").exists()


def test_the_token_is_sent_and_never_printed(comment, host):
    ended = comment("new", trace=True)
    assert ended.code == 0
    assert host.tokens == {TOKEN} if comment.host == "gitlab" else {f"Bearer {TOKEN}"}
    assert TOKEN not in ended.out + ended.err


def test_without_the_right_to_write_the_report_is_elsewhere_and_nothing_fails(comment, host, tmp_path):
    host.may_write = False
    ended = comment("new")
    assert ended.code == 0
    assert "no right to comment (403): the report is in the" in ended.err
    assert (tmp_path / "summary.md").exists() is (comment.host == "github")


def test_without_a_token_nobody_is_asked(comment, host):
    ended = comment("new", GITHUB_TOKEN="", RECONCILER_TOKEN="")
    assert (ended.code, host.requests) == (0, [])
    assert "the report is in the" in ended.err


def test_an_answer_that_makes_no_sense_ends_with_an_error(comment, host):
    host.broken = "<html>maintenance</html>"
    assert comment("new").code not in (0, 77)
    assert host.writes == []


def test_a_host_that_is_away_is_an_error_that_says_so(comment):
    ended = comment("new", GITHUB_API_URL="http://127.0.0.1:9", CI_API_V4_URL="http://127.0.0.1:9")
    assert ended.code == 1
    assert "cannot be reached" in ended.err


def test_a_refused_report_is_an_error_with_the_words_of_the_host(comment, host):
    host.refusal = "body is too long"
    ended = comment("new")
    assert ended.code == 1
    assert "answered 422: body is too long" in ended.err


def test_the_summary_of_the_job_has_the_report(comment, tmp_path):
    if comment.host == "github":
        assert comment("new").code == 0
        assert (tmp_path / "summary.md").read_text() == f"{MARKER}\nnew\n"


# --- from the change to the comment ----------------------------------------------------------------------------------


def test_a_task_with_a_hostile_name_is_reported_and_breaks_nothing(comment, host, repo):
    source = repo.path / "desired_state" / KAFKA
    source.rename(source.parent / HOSTILE.replace("/", "").replace("\n", ""))
    repo.commit(HOSTILE)
    change(repo, HOSTILE, throttleRps="20000")
    assert sh(repo.path, "plan.sh", "main", "report.md").code in (0, 3)
    report = (repo.path / "report.md").read_text()
    assert comment(report).code == 0
    assert host.bodies == [f"{MARKER}\n{report}\n"]
    assert not list(repo.path.rglob("pwned"))


# --- validate --------------------------------------------------------------------------------------------------------


def test_problems_are_lines_in_the_log_and_results_for_the_code_host(repo):
    change(repo, throttleRps="many")
    ended = sh(repo.path, "validate-github.sh", "out.sarif")
    assert (ended.code, "throttleRps" in ended.out) == (1, True)
    log = json.loads((repo.path / "out.sarif").read_text())
    assert published.problems(published.SARIF, log) == []
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["schema"]


def test_good_files_have_a_log_without_results(repo):
    assert sh(repo.path, "validate-github.sh", "out.sarif").code == 0
    assert json.loads((repo.path / "out.sarif").read_text())["runs"][0]["results"] == []


def test_where_nothing_could_be_checked_there_is_nothing_to_upload(repo):
    (repo.path / "reconciler.toml").unlink()
    assert sh(repo.path, "validate-github.sh", "out.sarif").code == 64
    assert not (repo.path / "out.sarif").exists()


def test_problems_are_code_quality_for_gitlab(repo):
    change(repo, throttleRps="many", somethingNew="1")
    assert sh(repo.path, "validate-gitlab.sh", "out.json").code == 1
    told = json.loads((repo.path / "out.json").read_text())
    assert {(each["check_name"], each["severity"]) for each in told} == {("schema", "major"), ("unknown-key", "minor")}
    assert {each["location"]["path"] for each in told} == {f"desired_state/{KAFKA}/coordinator.json"}
    assert all(each["location"]["lines"]["begin"] == 1 and each["description"] for each in told)
    assert len({each["fingerprint"] for each in told}) == 2


def test_code_quality_of_what_cannot_be_checked_is_empty(repo):
    (repo.path / "reconciler.toml").unlink()
    assert sh(repo.path, "validate-gitlab.sh", "out.json").code == 64
    assert json.loads((repo.path / "out.json").read_text()) == []


# --- the files of the code hosts -------------------------------------------------------------------------------------

SETUP = {
    "python3 -m pip install --quiet --requirement ci/requirements.txt",
    "apt-get update --quiet=2",
    "apt-get install --quiet=2 --yes jq",
}


def document(name):
    found = yaml.safe_load((CI / name).read_text())
    return {"on" if key is True else key: value for key, value in found.items()}  # YAML 1.1 reads on as true


def github_steps():
    return [step for job in document("github-actions.yml")["jobs"].values() for step in job["steps"]]


def gitlab_lines():
    found = document("gitlab-ci.yml")
    jobs = [found["default"], *(job for job in found.values() if isinstance(job, dict) and "script" in job)]
    return [line for job in jobs for part in ("before_script", "script", "after_script") for line in job.get(part, [])]


@pytest.mark.parametrize(
    ("name", "url"), [("github-actions.yml", published.GITHUB_WORKFLOW), ("gitlab-ci.yml", published.GITLAB_CI)]
)
def test_pipeline_fits_the_published_schema(name, url):
    assert published.problems(url, document(name)) == []


def scripts(lines):
    return {
        word
        for line in lines
        if line not in SETUP
        for word in shlex.split(line.replace(";", " "))
        if word[-3:] == ".sh"
    }


def test_github_runs_these_scripts_and_nothing_else():
    lines = [step["run"] for step in github_steps() if "run" in step]
    assert all(line in SETUP or line.startswith("sh ci/") for line in lines)
    assert scripts(lines) == {"ci/validate-github.sh", "ci/plan.sh", "ci/comment-github.sh"}


def test_gitlab_runs_these_scripts_and_nothing_else():
    lines = gitlab_lines()
    assert all(line in SETUP or line.startswith(("sh ci/", "if [ -f report.md ]; then sh ci/")) for line in lines)
    assert scripts(lines) == {"ci/validate-gitlab.sh", "ci/plan.sh", "ci/comment-gitlab.sh"}


def test_no_text_of_a_review_is_pasted_into_a_shell():
    assert not [step["run"] for step in github_steps() if "${{" in step.get("run", "")]


def test_actions_are_pinned_to_a_whole_version():
    versions = [step["uses"].partition("@")[2] for step in github_steps() if "uses" in step]
    assert versions
    assert all(version[0] == "v" and version.count(".") == 2 for version in versions)


def test_jobs_have_the_least_of_rights():
    found = document("github-actions.yml")
    assert found["permissions"] == {}
    assert {name: job["permissions"] for name, job in found["jobs"].items()} == {
        "validate": {"contents": "read", "security-events": "write"},
        "plan": {"contents": "read", "pull-requests": "write"},
    }
    assert "pull_request_target" not in found["on"]


def test_secrets_of_checkout_are_not_kept():
    checkouts = [step for step in github_steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False, False]
