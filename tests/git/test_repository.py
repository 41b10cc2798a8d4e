import gc
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pygit2
import pytest

from reconciler.errors import DesiredStateError
from reconciler.git.repository import Repository
from tests.repositories import Repo, task_files
from tests.state.conftest import ordinary_user  # noqa: F401 - a fixture

FILES = task_files("desired_state/shop")
FOLDER = "desired_state"
ABSENT = "1" * 40


def found(path):
    """(folder in the trees, the commit checked out) of what is discovered."""
    repository = Repository.discover(path)
    return repository.folder, repository.resolve("HEAD")


def refusal(path):
    with pytest.raises(DesiredStateError) as caught:
        Repository.discover(path)
    return str(caught.value)


def absence(repo, ref):
    with pytest.raises(DesiredStateError) as caught:
        Repository.discover(repo.path).resolve(ref)
    return str(caught.value).partition("expected a branch, a tag or a commit, ")[2]


# --- where the repository is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("", ""),
        (FOLDER, FOLDER),
        ("desired_state/shop", "desired_state/shop"),
        ("not/checked/out", "not/checked/out"),
        ("desired_state/../desired_state", FOLDER),
        ("untracked", "untracked"),
    ],
)
def test_a_folder_of_a_working_tree_is_that_folder_in_each_commit(repo, path, folder):
    commit = repo.commit(files=FILES)
    (repo.path / "untracked").mkdir()
    assert found(repo.path / path) == (folder, commit)


def test_a_relative_path_starts_at_the_current_directory(repo, monkeypatch):
    commit = repo.commit(files=FILES)
    monkeypatch.chdir(repo.path)
    assert found(Path(FOLDER)) == (FOLDER, commit)
    assert Repository.discover(Path(FOLDER)).shown == FOLDER


@pytest.mark.parametrize("folder", ["", FOLDER, "desired_state/shop", "refs"])
def test_a_path_below_a_bare_repository_is_a_folder_of_its_trees(repo, tmp_path, folder):
    commit = repo.commit(files=FILES)
    bare = repo.clone(tmp_path / "bare.git", "--bare")
    assert found(bare.path / folder) == (folder, commit)
    assert Repository.discover(bare.path).workdir is None
    assert Repository.discover(bare.path).git_dir == bare.path


def test_a_linked_worktree_has_a_head_of_its_own(repo, tmp_path):
    first, other = repo.commit(files=FILES), tmp_path / "other"
    repo.git("worktree", "add", "--quiet", "--detach", str(other))
    second = repo.commit()
    assert found(other / FOLDER) == (FOLDER, first)
    assert found(repo.path / FOLDER) == (FOLDER, second)
    assert Repository.discover(other).workdir == other


def test_a_submodule_is_a_repository_of_its_own(repo, tmp_path):
    commit = repo.commit(files=FILES)
    outer = Repo.make(tmp_path / "outer")
    outer.git("submodule", "--quiet", "add", str(repo.path), "inner")
    outer.commit()
    assert found(outer.path / "inner" / FOLDER) == (FOLDER, commit)


def test_files_of_git_may_lie_elsewhere(repo, tmp_path):
    commit = repo.commit(files=FILES)
    apart = repo.clone(tmp_path / "apart", f"--separate-git-dir={tmp_path / 'store.git'}")
    assert found(apart.path / FOLDER) == (FOLDER, commit)
    assert Repository.discover(apart.path).git_dir == tmp_path / "store.git"


def test_a_link_from_outside_is_followed_on_the_disk(repo, tmp_path):
    commit = repo.commit(files=FILES)
    (tmp_path / "link").symlink_to(repo.path / FOLDER)
    (tmp_path / "to-be").symlink_to(repo.path / "not_yet")
    assert found(tmp_path / "link") == (FOLDER, commit)
    assert found(tmp_path / "link" / "shop") == ("desired_state/shop", commit)
    assert found(tmp_path / "to-be") == ("not_yet", commit)


def test_a_link_that_is_part_of_the_repository_is_left_to_each_commit(repo):
    (repo.path / "current").symlink_to(FOLDER)
    repo.commit(files=FILES)
    (repo.path / "mine").symlink_to(FOLDER)
    assert Repository.discover(repo.path / "current" / "shop").folder == "current/shop"
    assert Repository.discover(repo.path / "mine" / "shop").folder == "desired_state/shop"


@pytest.mark.parametrize("path", [".git", ".git/refs", ".git/none"])
def test_the_files_that_git_keeps_for_itself_are_no_folder_of_a_tree(repo, path):
    assert "found the files that git keeps for itself" in refusal(repo.path / path)


# --- where there is none ---------------------------------------------------------------------------------------------


def test_a_folder_without_a_repository_is_an_error_that_says_what_is_expected(tmp_path):
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path}: no git repository that can be read in it or above it: expected a folder")
    assert 'desired_state.source = "directory"' in said


def test_a_path_that_leads_nowhere_is_an_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert "nowhere: no such directory, and no git repository that can be read" in refusal(tmp_path / "nowhere")
    assert "loop: no git repository that can be read" in refusal(tmp_path / "loop")


def test_a_git_file_that_leads_nowhere_is_an_error(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    assert "no git repository that can be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [
        ("extensions.refStorage", "reftable", "git refs migrate --ref-format=files"),
        ("extensions.partialClone", "origin", "clone it without --filter"),
        ("extensions.tomorrow", "true", "it was made by a newer git"),
        ("extensions.objectFormat", "sha256", "only repositories with SHA-1 ids are read"),
        ("core.repositoryFormatVersion", "7", "it was made by a newer git"),
    ],
)
def test_a_format_that_is_not_read_is_an_error_that_says_what_to_do(repo, setting, value, advice):
    repo.git("config", "core.repositoryFormatVersion", "1")
    repo.git("config", setting, value)
    said = refusal(repo.path)
    assert said.startswith(f"{repo.path}: cannot be read as a git repository: ")
    assert advice in said


def test_a_configuration_that_is_damaged_is_an_error(repo):
    (repo.path / ".git" / "config").write_text("[[[")
    assert "git config --list says where it is wrong" in refusal(repo.path)


def test_a_folder_that_may_not_be_entered_is_an_error(repo, ordinary_user):  # noqa: F811 - the fixture
    closed = ordinary_user / "closed"
    closed.mkdir(mode=0)
    assert "no git repository that can be read" in refusal(closed / FOLDER)


# --- whose it is -----------------------------------------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path):
    """A repository of root, and we are nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can own a repository and then be somebody else")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        repo = Repo.make(Path(folder, "con fig"))
        repo.commit(files=FILES)
        home = Path(folder, "home")
        home.mkdir()
        home.joinpath(".gitconfig").touch()
        before = pygit2.settings.search_path[pygit2.enums.ConfigLevel.GLOBAL]
        pygit2.settings.search_path[pygit2.enums.ConfigLevel.GLOBAL] = str(home)
        os.seteuid(65534)
        yield repo, home
        os.seteuid(0)
        pygit2.settings.search_path[pygit2.enums.ConfigLevel.GLOBAL] = before


def test_a_repository_of_another_user_is_refused_with_the_command_that_allows_it(foreign):
    repo, _home = foreign
    said = refusal(repo.path / FOLDER)
    assert f"{repo.path} belongs to root, this program runs as nobody" in said
    assert said.endswith(f"run as nobody: git config --global --add safe.directory '{repo.path}'")


def test_a_repository_of_another_user_is_read_once_git_was_told_that_it_is_safe(foreign):
    repo, home = foreign
    os.seteuid(0)
    (home / ".gitconfig").write_text(f'[safe]\n\tdirectory = "{repo.path}"\n')
    os.seteuid(65534)
    assert Repository.discover(repo.path / FOLDER).folder == FOLDER


def test_without_a_home_the_command_is_for_the_whole_system(foreign, monkeypatch):
    repo, _home = foreign
    monkeypatch.delenv("HOME")
    assert "run as root: git config --system --add safe.directory" in refusal(repo.path)


def test_an_owner_without_a_name_is_named_by_number(foreign, monkeypatch):
    repo, _home = foreign
    os.seteuid(0)
    os.chown(repo.path, 54321, 54321)
    os.seteuid(65534)
    assert f"{repo.path} belongs to user 54321, this program runs as nobody" in refusal(repo.path)


# --- names of commits ------------------------------------------------------------------------------------------------


def test_a_commit_has_many_names(repo):
    first, second = repo.commit(files=FILES), repo.commit("two")
    repo.git("tag", "light")
    repo.git("tag", "-a", "-m", "annotated", "heavy")
    repo.git("tag", "-a", "-m", "a tag of a tag", "nested", "heavy")
    names = ["HEAD", "main", "refs/heads/main", "light", "heavy", "nested", second, second[:10], "heads/main"]
    assert {Repository.discover(repo.path).resolve(name) for name in names} == {second}
    assert Repository.discover(repo.path).resolve("HEAD~1") == first


def test_a_name_that_is_none_is_an_error(repo):
    repo.commit(files=FILES)
    assert absence(repo, "nope") == "found nothing of that name"
    assert absence(repo, ABSENT) == "found nothing of that name"
    assert absence(repo, "mian") == 'found nothing of that name; did you mean "main"?'


@pytest.mark.parametrize("ref", ["", "a..b", "x y", "-x", "main\0x", "\x1b[31m", "@{-1}", "HEAD^{nope}", "\ud800"])
def test_any_text_is_a_name_or_a_clear_error(repo, ref):
    repo.commit(files=FILES)
    said = absence(repo, ref)
    assert said.startswith("found ")
    assert said.isprintable()


def test_a_branch_without_a_commit_is_an_error_that_says_so(repo):
    expected = 'found branch "main", which has no commit yet: make the first one'
    assert absence(repo, "HEAD") == absence(repo, "main") == expected


def test_the_beginning_of_several_ids_is_an_error(repo):
    repo.commit(files=FILES)
    repo.git("update-ref", "refs/heads/one", "HEAD")
    for number in range(40):
        repo.git("hash-object", "-w", "--stdin", input=str(number))
    ids = [line.split()[0][:4] for line in repo.git("cat-file", "--batch-all-objects", "--batch-check").splitlines()]
    short = next((digits for digits in ids if ids.count(digits) > 1), ids[0][:3])
    assert absence(repo, short) == "found the beginning of several ids (or too short a one): write more of it"


@pytest.mark.parametrize(("spec", "kind"), [("HEAD^{tree}", "tree"), ("HEAD:desired_state/shop/sink.json", "blob")])
def test_a_name_of_something_else_is_an_error(repo, spec, kind):
    repo.commit(files=FILES)
    repo.git("tag", "other", spec)
    repo.git("tag", "-a", "-m", "annotated", "noted", spec)
    assert {absence(repo, name) for name in (spec, "other", "noted")} == {f"found a {kind}"}


def test_a_name_for_an_object_that_is_missing_is_an_error(repo):
    repo.commit(files=FILES)
    (repo.path / ".git/refs/heads/lost").write_text(f"{ABSENT}\n")
    assert absence(repo, "lost").startswith("found a name for an object that is missing")


@pytest.mark.parametrize("ref", ["HEAD", "main", "other"])
def test_a_ref_that_is_damaged_is_an_error(repo, ref):
    repo.commit(files=FILES)
    repository = Repository.discover(repo.path)
    for name in ("HEAD", "refs/heads/main", "refs/heads/other"):
        (repo.path / ".git" / name).write_text("garbage\n")
    with pytest.raises(DesiredStateError, match="names no commit of this repository"):
        repository.resolve(ref)


def test_a_shallow_clone_says_that_older_commits_are_missing(repo, tmp_path):
    first = repo.commit(files=FILES)
    repo.commit("two")
    clone = repo.clone(tmp_path / "clone", "--depth=1")
    assert Repository.discover(clone.path).is_shallow
    assert not Repository.discover(repo.path).is_shallow
    assert absence(clone, first) == "found nothing of that name; older commits are missing here: git fetch --unshallow"


# --- what a report says of a commit ----------------------------------------------------------------------------------


def commit_of(repo, **changes):
    commit = repo.commit(**changes)
    return Repository.discover(repo.path).commit(commit)


def test_a_commit_is_told_by_author_date_and_subject(repo):
    at = datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    told = commit_of(repo, message="More workers\n\nBecause of the sale.", author="Zoë Østergård", at=at)
    assert (told.id, told.author, told.at, told.subject) == (repo.head(), "Zoë Østergård", at, "More workers")
    assert told.at.utcoffset() == at.utcoffset()


def test_a_tag_is_told_by_its_commit(repo):
    commit = repo.commit()
    repo.git("tag", "-a", "-m", "annotated", "heavy")
    assert Repository.discover(repo.path).commit(repo.git("rev-parse", "heavy")).id == commit


@pytest.mark.parametrize("message", ["", "\n\n  \n"])
def test_a_commit_may_have_no_message(repo, message):
    assert commit_of(repo, message=message).subject == ""


def written(repo, body):
    """A commit object with these bytes, which the git program might refuse to write."""
    tree = repo.git("hash-object", "-t", "tree", "-w", "--stdin", input="")
    place = repo.write("commit.txt", f"tree {tree}\n".encode() + body)
    commit = repo.git("hash-object", "-t", "commit", "-w", "--literally", str(place))
    return Repository.discover(repo.path).commit(commit)


def test_a_message_may_be_in_another_encoding(repo):
    body = "author Zoë <z@x> 0 +0000\ncommitter Zoë <z@x> 0 +0000\nencoding ISO-8859-1\n\nGrößer\n"
    told = written(repo, body.encode("latin-1"))
    assert (told.author, told.subject) == ("Zoë", "Größer")


def test_an_encoding_can_make_no_text_that_cannot_be_written(repo):
    line = b"A <a@x> 0 +0000\n"
    told = written(repo, b"author " + line + b"committer " + line + rb"encoding unicode_escape" + b"\n\n" + rb"\ud800!")
    assert told.subject == "?!"


@pytest.mark.parametrize(
    "encoding",
    ["", "encoding no-such-thing\n", "encoding utf-8\n", "encoding base64\n", "encoding \xff\n", "encoding \n"],
)
def test_what_is_not_text_is_replaced(repo, encoding):
    told = written(repo, b"author Zo\xeb <z@x> 0 +0000\ncommitter Z <z@x> 0 +0000\n" + encoding.encode() + b"\n\xff!\n")
    assert (told.author, told.subject) == ("Zo\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}!")


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("0 +0000", datetime(1970, 1, 1, tzinfo=UTC)),
        ("-86400 +0000", datetime(1969, 12, 31, tzinfo=UTC)),
        ("99999999999999 +1400", datetime.max.replace(tzinfo=UTC)),
        ("-99999999999999 -1200", datetime.min.replace(tzinfo=UTC)),
        ("0 +9999", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_any_date_is_told_as_nearly_as_it_can_be(repo, date, expected):
    line = f"A <a@x> {date}\n"
    told = written(repo, f"author {line}committer {line}\nabsurd\n".encode())
    assert abs(told.at.replace(tzinfo=None) - expected.replace(tzinfo=None)) <= timedelta(days=3)
    assert told.at.isoformat()


def test_a_commit_that_is_missing_or_damaged_is_an_error_with_its_id(repo):
    commit = repo.commit(files=FILES)
    place = repo.path / ".git/objects" / commit[:2] / commit[2:]
    place.chmod(0o600)
    place.write_bytes(b"garbage")
    for damaged in (commit, ABSENT):
        with pytest.raises(
            DesiredStateError, match=f"commit {damaged} cannot be read: .*git -C .* fsck.* fetch it again"
        ):
            Repository.discover(repo.path).commit(damaged)


@pytest.mark.parametrize("header", [b"", b"author A <a@x> no date\ncommitter A <a@x> 0 +0000\n"])
def test_a_commit_that_is_no_commit_is_an_error(repo, header):
    with pytest.raises(DesiredStateError, match=r"commit .* cannot be read"):
        written(repo, header + b"\nmessage\n")


# --- history ---------------------------------------------------------------------------------------------------------


def test_a_commit_is_an_ancestor_of_itself_and_of_what_follows(repo):
    first, second = repo.commit(), repo.commit()
    repository = Repository.discover(repo.path)
    assert repository.is_ancestor(first, second)
    assert repository.is_ancestor(first, first)
    assert not repository.is_ancestor(second, first)


def test_branches_have_an_ancestor_in_common_and_unrelated_histories_have_none(repo):
    base = repo.commit()
    one = repo.commit()
    repo.git("checkout", "--quiet", "-b", "other", base)
    other = repo.commit("another")
    repo.git("checkout", "--quiet", "--orphan", "apart")
    apart = repo.commit()
    repository = Repository.discover(repo.path)
    assert repository.have_common_ancestor(one, other)
    assert not repository.is_ancestor(one, other)
    assert not repository.have_common_ancestor(one, apart)


@pytest.mark.parametrize("absent", [ABSENT, "no id at all", ""])
def test_commits_that_are_missing_are_nobodys_ancestors(repo, absent):
    commit, repository = repo.commit(), Repository.discover(repo.path)
    for pair in ((absent, commit), (commit, absent), (absent, absent)):
        assert not repository.is_ancestor(*pair)
        assert not repository.have_common_ancestor(*pair)


def test_a_shallow_history_ends_where_it_was_cut(repo, tmp_path):
    first, second, third = repo.commit(), repo.commit(), repo.commit()
    clone = repo.clone(tmp_path / "clone", "--depth=2")
    repository = Repository.discover(clone.path)
    assert repository.is_ancestor(second, third)
    assert not repository.is_ancestor(first, third)
    clone.git("fetch", "--quiet", "--unshallow")
    assert not repository.is_shallow
    assert Repository.discover(clone.path).is_ancestor(first, third)


# --- while others work on it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["repack -adq", "gc --quiet --prune=now", "pack-refs --all --prune"])
def test_a_repository_may_be_packed_anew_while_it_is_open(repo, command):
    first = repo.commit(files=FILES)
    repo.git("repack", "-dq")
    repository = Repository.discover(repo.path)
    assert repository.resolve("main") == first
    second = repo.commit("two")
    repo.git(*command.split())
    assert repository.resolve("main") == second
    assert [repository.commit(commit).id for commit in (first, second)] == [first, second]


def test_locks_of_others_hold_nothing_up(repo):
    commit = repo.commit(files=FILES)
    for name in ("HEAD.lock", "index.lock", "refs/heads/main.lock", "packed-refs.lock", "shallow.lock"):
        (repo.path / ".git" / name).touch()
    assert found(repo.path / FOLDER) == (FOLDER, commit)


def test_a_repository_that_is_gone_is_an_error(repo):
    repo.commit(files=FILES)
    repository = Repository.discover(repo.path)
    shutil.rmtree(repo.path)
    with pytest.raises(DesiredStateError):
        repository.resolve("main")


# --- staying open for years ------------------------------------------------------------------------------------------


def lost_packs(repo):
    """Packs that this process has open although they are gone."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {
        line.partition(str(repo.path))[2] for line in lines if str(repo.path) in line and line.endswith("(deleted)")
    }


def test_packs_that_a_repack_removed_are_let_go_of(repo):
    repository = Repository.discover(repo.path)
    for number in range(3):
        commit = repo.commit(f"number {number}", {f"{number}.txt": f"{number}"})
        repo.git("repack", "-adq")
        assert repository.commit(commit).subject == f"number {number}"
    assert lost_packs(repo)
    repository.renew()
    gc.collect()
    assert repository.commit(commit).subject == "number 2"
    assert lost_packs(repo) == set()


def test_a_worktree_and_a_bare_repository_stay_what_they_are_when_renewed(repo, tmp_path):
    repo.commit("first", {"shop/task.json": "{}"})
    repo.git("worktree", "add", "--quiet", str(tmp_path / "other"))
    repo.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    for path in (tmp_path / "other" / "shop", tmp_path / "bare.git" / "shop"):
        repository = Repository.discover(path)
        before = repository.git_dir, repository.workdir, repository.resolve("HEAD")
        repository.renew()
        assert (repository.git_dir, repository.workdir, repository.resolve("HEAD")) == before


def test_a_repository_that_went_away_stays_open_as_it_was(repo, tmp_path):
    commit = repo.commit("first")
    repository = Repository.discover(repo.path)
    assert repository.commit(commit).subject == "first"
    repo.path.rename(tmp_path / "away")
    with pytest.raises(DesiredStateError):
        repository.renew()
    assert repository.commit(commit).subject == "first"
