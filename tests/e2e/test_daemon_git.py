"""The daemon where commits are followed: a repository beside it, or a remote that people push to."""

import hashlib
import hmac
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.daemons import Site, until
from tests.repositories import Repo, git_environment

FIVE = ("a", "b", "c", "d", "e")


class GitSite:
    """A site whose desired state is a folder of a repository.

    Args:
        site: everything else.
        repo: where people work.
    """

    def __init__(self, site: Site, repo: Repo) -> None:
        self.site, self.repo = site, repo
        self.signs = False

    def started_with(self, *tasks, **more):
        """Have tasks in a first commit, and a daemon that recorded them as applied."""
        for number, task in enumerate(tasks):
            self.site.put(task, number)
        self._commit("The first tasks")
        return self.site.start(**more)

    def push(self, *options):
        if self.repo.git("remote"):
            self.repo.git("push", "--quiet", *options, "origin", "HEAD:main")

    def commit(self, *tasks, to, message="Change the throttle"):
        """Edit tasks, commit, and push where there is something to push to; the commit's id."""
        self.site.throttle(*tasks, to=to)
        return self._commit(message)

    def _commit(self, message):
        made = self.repo.commit(message)
        if self.signs:
            self.repo.git("commit", "--quiet", "--amend", "--no-edit", "-S")
            made = self.repo.head()
        self.push()
        return made

    @property
    def head(self):
        """What `status` tells of the commit that is read."""
        return self.site.run("status", "--format", "json").json["head"]

    @property
    def daemon(self):
        return self.site.daemons[-1]

    def reads(self, commit_id):
        """Wait until the daemon reads a commit."""
        self.daemon.says("reads commit", revision=commit_id)

    def stays(self, kind):
        """Wait until the newest commit is not followed."""
        self.daemon.until(lambda: self.daemon.metric("source_problem", kind=kind) == 1, kind)


def environment_of(site):
    site.environment = git_environment(site.root) | site.environment
    site.environment["HOOK"] = "sentinel-of-the-hook"


@pytest.fixture
def local(site):
    """The daemon reads the repository in which people work."""
    repo = Repo.make(site.root / "config")
    site.desired = repo.path / "desired_state"
    environment_of(site)
    site.configure(desired_state={"path": "config/desired_state", "source": "git", "ref": "main"})
    return GitSite(site, repo)


@pytest.fixture
def shared(site):
    """People push to a bare repository, from which the daemon fetches into one of its own."""
    bare = Repo.make(site.root / "shared.git", bare=True)
    repo = bare.clone(site.root / "work")
    repo.git("checkout", "--quiet", "-B", "main")
    Repo.make(site.root / "own.git", bare=True).git("remote", "add", "origin", str(bare.path))
    site.desired = repo.path / "desired_state"
    environment_of(site)
    site.configure(
        desired_state={
            "path": "own.git/desired_state",
            "source": "git",
            "ref": "main",
            "remote": "origin",
            "fetch_s": 1,
        }
    )
    return GitSite(site, repo)


def away(shared):
    """Where the remote is when it cannot be reached."""
    return shared.site.root / "shared.git", shared.site.root / "away.git"


# --- commits ---------------------------------------------------------------------------------------------------------------


def test_what_is_committed_is_sent_and_an_edit_alone_is_not(local):
    daemon = local.started_with("shop", "mail")
    local.site.throttle("shop", to=4000)
    daemon.look_again()
    assert local.site.sent == []
    for command in (("status",), ("explain", "shop"), ("sync", "--wait")):
        assert "not committed and so not looked at: shop/coordinator.json" in local.site.run(*command).err
    made = local.repo.commit("Raise the throttle")
    local.site.calls(1)
    local.site.settles()
    assert (local.site.throttles, local.site.record("shop").revision) == ([4000], made)
    assert {row.revision for row in local.site.store.history("shop", 3)} == {made}
    assert f"reads commit {made[:7]} (Ann Operator: Raise the throttle) of main since " in local.site.run("status").err


def test_one_changed_task_of_many_is_the_only_one_that_is_looked_at(local):
    local.site.configure(daemon={"log_level": "debug"})
    daemon = local.started_with(*FIVE)
    local.commit("c", to=4000)
    local.site.calls(1)
    assert [line["tasks"] for line in daemon.said("looked at", cause="commit")] == [1]
    assert daemon.said("reads commit")[-1]["tasks"] == 1


def test_a_commit_that_changes_no_task_makes_no_look_and_is_known(local):
    daemon = local.started_with("shop")
    made = local.repo.commit("Say what this is", {"README": "tasks"})
    local.reads(made)
    daemon.until(lambda: local.head["commit"]["id"] == made)
    assert daemon.metric("passes_total", cause="commit") == 0
    assert local.head == {
        "ref": "main",
        "commit": local.head["commit"],
        "newest": None,
        "kind": None,
        "problem": None,
        "since": local.head["since"],
    }


def test_a_branch_counts_when_it_is_merged_and_a_revert_undoes_it(local):
    daemon = local.started_with("shop", "mail")
    before = local.site.read("coordinator")["throttleRps"]
    local.repo.git("checkout", "--quiet", "-b", "faster")
    local.commit("shop", to=4000)
    daemon.look_again()
    assert local.site.sent == []
    local.repo.git("checkout", "--quiet", "main")
    local.repo.git("merge", "--quiet", "--no-ff", "--no-edit", "faster")
    local.site.calls(1)
    local.site.settles()
    local.repo.git("revert", "--no-edit", "-m", "1", "HEAD")
    local.site.calls(2)
    local.site.settles()
    assert local.site.throttles == [4000, int(before)]


def test_a_renamed_task_keeps_its_record_and_makes_no_call(local):
    daemon = local.started_with("shop", "mail")
    local.repo.git("mv", "desired_state/shop", "desired_state/store")
    local.repo.commit("Call it a store")
    local.site.comes_to("synced", "store")
    daemon.until(lambda: local.site.states.keys() == {"store", "mail"})
    assert local.site.sent == []


def test_other_line_endings_and_modes_make_no_call(local):
    daemon = local.started_with("shop", "mail")
    for file in (local.site.desired / "shop").iterdir():
        file.write_bytes(b"\r\n".join(file.read_bytes().replace(b"{", b"{\n", 1).splitlines()) + b"\r\n")
        file.chmod(0o755)
    made = local.repo.commit("As another system writes it")
    local.reads(made)
    daemon.until(lambda: daemon.metric("passes_total", cause="commit") == 1, "a look")
    daemon.look_again()
    assert (local.site.sent, set(local.site.states.values())) == ([], {"synced"})


def test_a_commit_that_takes_a_third_away_changes_nothing_of_the_rest(local):
    daemon = local.started_with(*FIVE, "f", "g", "h")
    local.repo.git("rm", "-rq", *(f"desired_state/{task}" for task in "cdef"))
    local.commit("a", "b", "h", to=4000)
    daemon.until(lambda: "4 of 8 known tasks are gone" in local.site.run("status").err, "frozen")
    daemon.look_again()
    assert local.site.sent == []


def test_after_kill_9_nothing_is_sent_but_what_was_committed_meanwhile(local):
    local.started_with("shop", "mail").kill()
    daemon = local.site.start()
    daemon.look_again()
    assert local.site.sent == []
    daemon.kill()
    local.commit("mail", to=4000)
    local.site.start()
    local.site.calls(1)
    local.site.settles()
    assert len(local.site.sent) == 1


def test_a_repository_that_is_not_there_at_the_start_is_waited_for(local):
    local.started_with("shop").stop()
    local.repo.path.rename(local.site.root / "elsewhere")
    daemon = local.site.launch()
    daemon.until(lambda: "config/desired_state: no such directory" in daemon.trouble(), "not ready")
    assert "nothing is sent at all" in local.site.run("status").err
    (local.site.root / "elsewhere").rename(local.repo.path)
    daemon.ready()
    local.commit("shop", to=4000)
    local.site.calls(1)
    local.site.settles()


def test_a_repository_that_goes_leaves_its_last_commit_in_force_until_another_clone_is_there(local):
    daemon = local.started_with("shop")
    elsewhere = local.site.root / "elsewhere"
    local.repo.path.rename(elsewhere)
    local.stays("unreadable")
    assert (daemon.trouble(), set(local.site.states.values())) == ("", {"synced"})
    Repo(elsewhere, local.repo.env).clone(local.repo.path, "--origin=elsewhere").git("remote", "remove", "elsewhere")
    daemon.until(lambda: daemon.metric("source_problem") == 0, "it is read again")
    local.commit("shop", to=4000)
    local.site.calls(1)
    local.site.settles()


def test_another_ref_is_followed_after_a_reload(local):
    daemon = local.started_with("shop")
    local.repo.git("checkout", "--quiet", "-b", "next")
    made = local.commit("shop", to=4000)
    local.site.configure(desired_state={"ref": "next"})
    daemon.reload()
    local.reads(made)
    local.site.calls(1)
    local.site.settles()


def test_reloads_leave_nothing_open(local):
    daemon = local.started_with("shop")
    open_ = []
    for times in range(1, 5):
        daemon.reload()
        daemon.says("the configuration was read anew", times=times)
        daemon.look_again()
        open_.append(daemon.descriptors)
    assert open_[-1] <= open_[0]


def test_sync_takes_what_was_just_committed(local):
    local.started_with("shop")
    local.commit("shop", to=4000)
    assert local.site.run("sync", "--wait").code == 0
    assert local.site.throttles == [4000]


# --- a remote --------------------------------------------------------------------------------------------------------------


def test_what_is_pushed_is_fetched_and_sent(shared):
    daemon = shared.started_with("shop")
    made = shared.commit("shop", to=4000)
    shared.site.calls(1)
    shared.site.settles()
    assert shared.site.record("shop").revision == made
    assert time.time() - daemon.metric("last_fetch_timestamp_seconds") < 60
    assert daemon.metric("fetch_total", outcome="fetched") >= 2


def test_sync_fetches_first_and_waits_for_what_that_brings(shared):
    shared.site.configure(desired_state={"fetch_s": 86400})
    shared.started_with("shop")
    made = shared.commit("shop", to=4000)
    ended = shared.site.run("sync", "--wait")
    assert (ended.code, shared.site.throttles) == (0, [4000])
    assert "asked the daemon to fetch and look at all tasks now" in ended.err
    assert f"reads commit {made[:7]}" in ended.err
    here, gone = away(shared)
    here.rename(gone)
    failed = shared.site.run("sync", "shop", "--wait")
    assert (failed.code, "nothing can be fetched since" in failed.err) == (3, True)


def test_a_forced_push_is_followed_when_it_is_accepted(shared, manager):
    daemon = shared.started_with("shop", **manager.environment())
    shared.commit("shop", to=4000)
    shared.site.calls(1)
    shared.site.settles()
    shared.site.throttle("shop", to=5000)
    shared.repo.git("commit", "--quiet", "--all", "--amend", "-m", "Another throttle")
    shared.push("--force")
    shared.stays("rewritten")
    newest = shared.repo.head()
    assert (shared.head["kind"], shared.head["newest"]) == ("rewritten", newest)
    assert "is not followed" in daemon.says("is not followed", level="error")["event"]
    assert f"reconciler accept {newest[:7]}" in shared.site.run("explain", "shop").err
    daemon.until(lambda: "(the newest commit is rewritten)" in manager.told("STATUS")[-1]["STATUS"], "STATUS")
    assert shared.site.run("sync", "--wait").code == 3
    assert shared.site.throttles == [4000]
    assert shared.site.run("accept", newest[:9], "--reason", "amended by mistake").code == 0
    shared.site.calls(2)
    shared.site.settles()
    assert daemon.metric("source_problem") == 0
    assert shared.site.run("sync", "--wait").code == 0


def test_a_remote_that_cannot_be_reached_leaves_the_last_commit_in_force(shared):
    shared.started_with("shop").stop()
    here, gone = away(shared)
    here.rename(gone)
    daemon = shared.site.start()
    daemon.says("nothing can be fetched", level="warning")
    daemon.until(lambda: daemon.metric("fetch_total", outcome="failed") >= 2, "a second try")
    assert len(daemon.said("nothing can be fetched, the last commit")) == 1
    assert "nothing can be fetched since 2" in shared.site.run("status").err
    gone.rename(here)
    daemon.says("can be fetched from again")
    shared.commit("shop", to=4000)
    shared.site.calls(1)
    shared.site.settles()
    assert "nothing can be fetched" not in shared.site.run("status").err


def test_a_fetch_that_hangs_holds_up_neither_start_nor_stop(shared):
    shared.started_with("shop").stop()
    told = shared.site.root / "pid"
    shared.site.environment["GIT_SSH_COMMAND"] = f"sh -c 'echo $$ > {told}; exec sleep 600' ssh"
    shared.site.configure(desired_state={"remote": "ssh://nowhere/config.git"})
    daemon = shared.site.start()
    daemon.until(lambda: told.exists() and told.read_text().strip(), "ssh")
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    until(lambda: not Path("/proc", told.read_text().strip()).exists(), "the end of what git started", 5)


def test_a_signed_push_of_a_code_host_fetches_at_once(shared):
    shared.site.configure(desired_state={"fetch_s": 86400}, daemon={"webhook_secret": "${env:HOOK}"})
    daemon = shared.started_with("shop")
    made = shared.commit("shop", to=4000)
    body = b'{"ref": "refs/heads/main"}'
    forged, signed = (
        hmac.new(secret, body, hashlib.sha256).hexdigest() for secret in (b"guess", b"sentinel-of-the-hook")
    )
    answers = [
        httpx.post(f"{daemon.pages}/hooks/push", content=body, headers={"X-Hub-Signature-256": f"sha256={digest}"})
        for digest in (forged, signed)
    ]
    assert [answer.status_code for answer in answers] == [401, 202]
    shared.reads(made)
    shared.site.calls(1)
    assert daemon.metric("webhook_requests_total", outcome="accepted") == 1
    assert "sentinel-of-the-hook" not in daemon.text + answers[0].text + daemon.page("/metrics").text


# --- signatures ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def signed(shared, tmp_path):
    """Only commits signed with a key that is allowed are followed."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    public = key.with_suffix(".pub").read_text().split()
    (shared.site.root / "signers").write_text(f"ann@example.com {public[0]} {public[1]}\n")
    shared.site.configure(desired_state={"require_signed": True, "allowed_signers": "signers"})
    shared.repo.git("config", "gpg.format", "ssh")
    shared.repo.git("config", "user.signingKey", str(key))
    shared.signs = True
    return shared


def test_an_unsigned_commit_changes_nothing_and_a_signed_one_after_it_does(signed):
    signed.started_with("shop")
    signed.signs = False
    unsigned = signed.commit("shop", to=4000)
    signed.stays("unsigned")
    assert (signed.head["kind"], signed.head["newest"]) == ("unsigned", unsigned)
    refused = signed.site.run("accept", unsigned, "--reason", "in a hurry")
    assert (refused.code, signed.site.sent) == (1, [])
    signed.signs = True
    signed.commit("shop", to=5000)
    signed.site.calls(1)
    signed.site.settles()
    assert signed.site.throttles == [5000]
