import tempfile
from pathlib import Path

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygit2.enums import FileMode

from reconciler.core.decode import MAX_BYTES
from reconciler.errors import DesiredStateError
from reconciler.git.repository import Repository
from reconciler.git.tree import CommitTree
from reconciler.model import TASK_FILES
from reconciler.source import DirectorySource
from tests.repositories import Repo, sample_files

ROOT = "desired_state"


def files(*paths, text="{}"):
    return {f"{ROOT}/{path}": text for path in paths}


def link(repo, path, target):
    place = repo.path / ROOT / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def tree_of(repo, commit=None, *, root=ROOT, before=None):
    return CommitTree(Repository.discover(repo.path / root), commit or repo.head(), before=before)


def committed(repo, *paths, **text):
    repo.commit(files=files(*paths, **text))
    return tree_of(repo)


def problems(tree, name):
    """`{(rule, file, found), ...}` of one task."""
    return {(v.rule, v.file, v.found) for v in tree.entry(name).read().violations}


def read(tree):
    return {raw.name: raw for raw in tree.tasks()}


def spoil(repo, spec, content=b"garbage"):
    """Damage an object; None: take it away. Returns its id."""
    name = repo.git("rev-parse", spec)
    place = repo.path / ".git/objects" / name[:2] / name[2:]
    place.chmod(0o600)
    if content is None:
        place.unlink()
    else:
        place.write_bytes(content)
    return name


# --- what a commit says ----------------------------------------------------------------------------------------------


def test_a_commit_is_read_as_its_checkout(repo):
    repo.commit(files=sample_files())
    assert list(tree_of(repo).tasks()) == list(DirectorySource(repo.path / ROOT).tasks())
    assert len(tree_of(repo).names()) == 3


def test_only_what_is_committed_counts(repo):
    tree = committed(repo, "shop/task.json")
    repo.write(f"{ROOT}/shop/task.json", "[]")
    repo.write(f"{ROOT}/other/task.json", "{}")
    repo.git("add", "-A")
    assert list(tree.names()) == list(tree_of(repo).names()) == ["shop"]
    assert dict(tree_of(repo).entry("shop").read().files) == {"task.json": b"{}"}


def test_an_older_commit_says_what_it_said(repo):
    first = repo.commit(files=files("shop/task.json"))
    repo.commit(files={f"{ROOT}/shop/task.json": "[]", f"{ROOT}/other/task.json": "{}"})
    assert tree_of(repo, first).entry("shop").read().files == {"task.json": b"{}"}
    assert tree_of(repo, first).revision == first


def test_messages_show_the_path_as_the_user_wrote_it(repo, monkeypatch):
    repo.commit(files=files("shop/task.json"))
    monkeypatch.chdir(repo.path)
    repository = Repository.discover(Path(ROOT))
    assert CommitTree(repository, repo.head()).root == ROOT
    assert CommitTree(repository, repo.head(), "elsewhere").root == "elsewhere"


def test_a_bare_repository_is_read_without_a_working_tree(repo, tmp_path):
    repo.commit(files=files("shop/task.json", "a/b/sink.json"))
    bare = repo.clone(tmp_path / "bare.git", "--bare")
    assert list(tree_of(bare).names()) == ["a/b", "shop"]


def test_the_root_of_the_tree_may_be_the_desired_state(repo):
    repo.commit(files={"shop/task.json": "{}", "task.json": "{}"})
    tree = tree_of(repo, root="")
    assert list(tree.names()) == [".", "shop"]
    assert problems(tree, ".") == {("root-task", ".", "task files in the desired-state directory itself")}


def test_a_commit_without_any_file_has_no_tasks(repo):
    repo.commit()
    assert list(tree_of(repo, root="").names()) == []


@pytest.mark.parametrize("file", TASK_FILES)
def test_a_folder_with_any_of_the_six_files_is_a_task(repo, file):
    assert dict(committed(repo, f"shop/{file}").entry("shop").read().files) == {file: b"{}"}


def test_what_is_no_task_is_ignored(repo):
    tree = committed(repo, "shop/task.json", "README.md", "docs/a.md", ".hidden/task.json", "sink.json~/x/none.md")
    assert list(tree.names()) == ["shop"]
    assert tree.remarks == ()


@pytest.mark.parametrize("name", ["new\nline", "esc\x1b[31m", "ümläut", 'quo"te', "back\\slash", "\u202eevil"])
def test_a_name_may_hold_any_character(repo, name):
    assert list(committed(repo, f"{name}/task.json").names()) == [name]


def test_a_name_that_is_not_utf8_is_an_error(repo):
    tree = committed(repo, "caf\udce9/task.json")
    assert problems(tree, "caf\udce9") == {("folder-name", "caf\udce9", r"'caf\udce9'")}


def test_a_near_miss_is_a_warning(repo):
    tree = committed(repo, "shop/task.json", "shop/sinks.json", "shop/sink.json~")
    assert problems(tree, "shop") == {("file-name", "shop/sinks.json", 'a file "sinks.json", which is ignored')}


def test_a_file_that_is_too_large_is_an_error_and_not_read(repo):
    tree = committed(repo, "shop/task.json", text=" " * (MAX_BYTES + 1))
    assert problems(tree, "shop") == {("unreadable", "shop/task.json", f"{MAX_BYTES + 1} bytes")}
    assert (
        len(committed(repo, "shop/task.json", text=" " * MAX_BYTES).entry("shop").read().files["task.json"])
        == MAX_BYTES
    )


def test_a_file_is_read_as_it_is_stored(repo):
    repo.write(".gitattributes", "*.json text eol=crlf\n")
    assert committed(repo, "shop/task.json", text="{\n}\n").entry("shop").read().files["task.json"] == b"{\n}\n"


def test_a_pointer_of_git_lfs_is_an_error_of_its_task(repo):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    repo.commit(files=files("shop/sink.json", text=pointer) | files("other/task.json"))
    assert problems(tree_of(repo), "shop") == {("unreadable", "shop/sink.json", "a Git LFS pointer")}
    assert problems(tree_of(repo), "other") == set()
    assert list(tree_of(repo).tasks()) == list(DirectorySource(repo.path / ROOT).tasks())


def test_a_folder_in_the_place_of_a_file_is_an_error(repo):
    tree = committed(repo, "shop/task.json/x")
    assert problems(tree, "shop") == {("unreadable", "shop/task.json", "a folder, pipe or device")}


def test_folders_may_be_deeper_than_any_file_system_allows(repo):
    repo.commit(files={"task.json": "{}"})
    opened = pygit2.Repository(repo.path)
    tree = repo.git("rev-parse", "HEAD^{tree}")
    for _ in range(2000):
        builder = opened.TreeBuilder()
        builder.insert("d", tree, FileMode.TREE)
        tree = str(builder.write())
    (name,) = tree_of(repo, repo.git("commit-tree", "-m", "deep", tree), root="").names()
    assert len(name) == 2 * 2000 - 1


# --- the root --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "found"),
    [
        ("nowhere", "nothing of that name"),
        ("file", "a file of that name"),
        ("file/below", "a way that ends before: Not a directory"),
        ("out", "a link that leaves the repository"),
        ("loop", "a way that ends before: Too many levels of symbolic links"),
    ],
)
def test_a_commit_without_the_directory_is_an_error(repo, root, found):
    (repo.path / "out").symlink_to("/etc")
    (repo.path / "loop").symlink_to("loop")
    repo.commit(files={"file": ""})
    repository = Repository(Repository.discover(repo.path).opened, root, "shown")
    with pytest.raises(DesiredStateError) as caught:
        CommitTree(repository, repo.head())
    expected = f'expected "{root}" to be a directory with one folder a task, found {found}'
    assert str(caught.value) == f"shown: the desired state cannot be read from commit {repo.head()}: {expected}"


def test_the_directory_itself_may_be_a_link_in_each_commit(repo):
    (repo.path / "current").symlink_to("a/../a")
    repo.commit(files={"a/shop/task.json": "{}", "b/orders/task.json": "{}"})
    before = tree_of(repo, root="current")
    (repo.path / "current").unlink()
    (repo.path / "current").symlink_to("b")
    repo.commit()
    after = tree_of(repo, root="current", before=before)
    assert (list(before.names()), list(after.names())) == (["shop"], ["orders"])


def test_a_commit_that_is_missing_is_an_error(repo):
    committed(repo, "shop/task.json")
    with pytest.raises(DesiredStateError, match=f"commit {'1' * 40} cannot be read"):
        tree_of(repo, "1" * 40)


# --- links -----------------------------------------------------------------------------------------------------------


def test_links_inside_the_directory_are_followed(repo):
    link(repo, "shop/sink.json", "../common/shared.json")
    link(repo, "copy", "shop")
    tree = committed(repo, "shop/task.json", "common/shared.json")
    assert {name: list(raw.files) for name, raw in read(tree).items()} == {
        "copy": ["task.json", "sink.json"],
        "shop": ["task.json", "sink.json"],
    }


def test_links_lead_into_hidden_folders_too(repo):
    link(repo, "shop", ".base/shop")
    link(repo, "orders/sink.json", "../.base/shop/task.json")
    tree = committed(repo, ".base/shop/task.json", ".base/shop/in/task.json")
    assert list(tree.names()) == ["orders", "shop", "shop/in"]
    assert dict(tree.entry("orders").read().files) == {"sink.json": b"{}"}


def test_a_link_back_up_the_tree_ends(repo):
    link(repo, "shop/orders/up", "../..")
    link(repo, "shop/self", ".")
    assert list(committed(repo, "shop/task.json", "shop/orders/task.json").names()) == ["shop", "shop/orders"]


@pytest.mark.parametrize("target", ["/etc", "../../../etc", "../outside", "../../../../x"])
def test_a_folder_that_is_a_link_out_of_the_directory_is_an_error(repo, target):
    link(repo, "shop", target)
    repo.write("outside/task.json", "{}")
    tree = committed(repo, "other/task.json")
    assert problems(tree, "shop") == {("unreadable", "shop", "a link that leaves the desired-state directory")}
    assert problems(tree, "other") == set()


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside.json", "nowhere.json", "sink.json", "task.json/x"])
def test_a_file_that_is_a_link_out_of_the_directory_or_to_nowhere_is_an_error(repo, target):
    link(repo, "shop/sink.json", target)
    repo.write("outside.json", "{}")
    tree = committed(repo, "shop/task.json")
    assert problems(tree, "shop") == {("unreadable", "shop/sink.json", "a link that leaves it, or leads nowhere")}
    assert list(tree.entry("shop").read().files) == ["task.json"]


def test_a_link_that_cannot_be_followed_spoils_no_other_task(repo):
    link(repo, "loop", "loop")
    link(repo, "long", "x/" * 2040)
    repo.commit(files=files("shop/task.json"))
    blob = repo.git("hash-object", "-w", "--stdin", input="x/" * 2048)
    repo.git("update-index", "--cacheinfo", f"120000,{blob},{ROOT}/long")
    repo.git("commit", "--quiet", "-m", "a link that no file system would hold")
    tree = tree_of(repo)
    assert problems(tree, "loop") == {
        ("unreadable", "loop", "a link that cannot be followed: Too many levels of symbolic links")
    }
    assert problems(tree, "long") == {("unreadable", "long", "a link that cannot be followed: File name too long")}
    assert problems(tree, "shop") == set()


def test_links_that_matter_to_nobody_are_ignored(repo):
    for name, target in {
        "gone": "nowhere",
        ".out": "/etc",
        "notes": "shop/task.json",
        "x.tmp": "shop/task.json",
    }.items():
        link(repo, name, target)
    assert list(committed(repo, "shop/task.json").names()) == ["shop"]


def test_a_link_to_a_file_may_be_a_slip_of_the_pen(repo):
    link(repo, "shop/sinks.json", "task.json")
    assert problems(committed(repo, "shop/task.json"), "shop") == {
        ("file-name", "shop/sinks.json", 'a file "sinks.json", which is ignored')
    }


def test_a_folder_that_is_no_task_may_hold_links(repo):
    link(repo, "docs/notes", "../README.md")
    assert list(committed(repo, "shop/task.json", "README.md").names()) == ["shop"]


PARTS = ("a", "b", ".h", "sink.json", "sinks.json")
PLACES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)
INSIDE = ("a", "b", "..", "../a", "../b", "a/b", ".", "nowhere", "../.h", "a/", "a/sink.json", "sink.json/x")
OUTSIDE = ("../out", "../../out", "../out/task.json", "../desired_state/a", "../../desired_state/b/..")
NODES = st.sampled_from(("file", "other", *INSIDE, *OUTSIDE))


def make_node(top, place, node):
    """Put something at a place, unless what is there is in its way, or it is a link that leaves the repository."""
    try:
        (top / place).parent.mkdir(parents=True, exist_ok=True)
        if node in ("file", "other"):
            (top / place).write_text(node)
        elif len((top / place).parent.resolve().relative_to(top.parent).parts) >= node.count("../"):
            (top / place).symlink_to(node)
    except (OSError, ValueError):
        pass


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(PLACES, NODES), max_size=16), st.lists(st.tuples(PLACES, NODES), max_size=3))
def test_any_commit_is_read_as_its_checkout_whatever_was_looked_at_before(first, second):
    with tempfile.TemporaryDirectory() as folder:
        repo = Repo.make(Path(folder).resolve() / "repo")
        repo.commit(files=files("a/task.json") | {"out/task.json": "{}"})
        before = None
        for number, nodes in enumerate((first, second)):
            for place, node in nodes:
                make_node(repo.path / ROOT, place, node)
            repo.commit()
            before = agrees(repo, before, Path(folder).resolve() / f"checkout-{number}")


def agrees(repo, before, checkout):
    """Whether a commit is read as a fresh checkout of it, with or without a look at another one before."""
    tree, alone = tree_of(repo, before=before), tree_of(repo)
    repo.git("checkout-index", "--all", f"--prefix={checkout}/")
    expected = list(DirectorySource(checkout / ROOT).tasks())
    assert list(tree.tasks()) == list(alone.tasks()) == expected
    assert list(tree.names()) == [raw.name for raw in expected]
    assert {entry.name: entry.stamp for entry in tree.entries()} == {e.name: e.stamp for e in alone.entries()}
    if before is not None:
        old, new = read(before), read(tree)
        really = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        assert really <= tree.differences(before) == before.differences(tree)
    return tree


# --- submodules ------------------------------------------------------------------------------------------------------


@pytest.fixture
def module(repo, tmp_path):
    """The repository, with a submodule that holds a task."""
    inner = Repo.make(tmp_path / "inner")
    inner.commit(files={"task.json": "{}", "in/task.json": "{}"})
    repo.git("submodule", "--quiet", "add", str(inner.path), f"{ROOT}/team/vendor")
    return repo


def test_a_submodule_is_not_entered_and_never_vanishes_silently(module):
    tree = committed(module, "shop/task.json", "team/shop/task.json")
    assert list(tree.names()) == ["shop", "team/shop"]
    assert tree.remarks == (
        f"{module.path / ROOT}/team/vendor is a submodule: its files are in another repository, so no task in it is seen",
    )


def test_a_task_with_a_submodule_in_it_is_read(module):
    tree = committed(module, "team/task.json")
    assert dict(tree.entry("team").read().files) == {"task.json": b"{}"}


@pytest.mark.parametrize(
    ("target", "why"), [("team/vendor", "it leads to a submodule"), ("team/vendor/in", "it leads into a submodule")]
)
def test_a_link_into_a_submodule_is_an_error(module, target, why):
    link(module, "shop", target)
    tree = committed(module, "other/task.json")
    assert problems(tree, "shop") == {("unreadable", "shop", f"a link that cannot be followed: {why}")}


def test_a_submodule_in_the_place_of_a_file_is_an_error(module):
    commit = module.git("rev-parse", f":{ROOT}/team/vendor")
    module.commit(files=files("shop/task.json"))
    module.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{ROOT}/shop/sink.json")
    module.git("commit", "--quiet", "-m", "odd")
    assert problems(tree_of(module), "shop") == {("unreadable", "shop/sink.json", "a submodule")}


# --- one task --------------------------------------------------------------------------------------------------------


def test_one_task_is_found_by_its_name_only(repo):
    tree = committed(repo, "shop/task.json", "shop/in/task.json", "README.md")
    assert tree.entry("shop/in").read().name == "shop/in"
    for name in ("", "..", "shop/", "./shop", "/shop", "shop/task.json", "README.md", "Shop", "shop\0", "\ud800"):
        assert tree.entry(name) is None


def test_tasks_below_a_folder_are_listed(repo):
    tree = committed(repo, "a/task.json", "a/b/task.json", "a-b/task.json", "c/d/task.json")
    below = {name: [entry.name for entry in tree.entries(name)] for name in ("", ".", "a", "c", "none")}
    every = ["a", "a-b", "a/b", "c/d"]
    assert below == {"": every, ".": every, "a": ["a", "a/b"], "c": ["c/d"], "none": []}


# --- stamps and differences ------------------------------------------------------------------------------------------


def changed(repo, commit):
    """Names of the tasks that differ between a commit and the newest one, and whether both ways of asking agree."""
    before = tree_of(repo, commit)
    names = tree_of(repo, before=before).differences(before)
    assert names == before.differences(tree_of(repo))
    return set(names)


@pytest.mark.parametrize(
    "change",
    [
        {"shop/task.json": "[]"},
        {"shop/task.json": None},
        {"shop/reset.json": "{}"},
        {"shop/sinks.json": ""},
        {"shop/task.json": None, "shop/source.json": "{}"},
    ],
    ids=["content", "gone", "new", "near-miss", "renamed"],
)
def test_whatever_changes_a_task_is_a_difference_of_this_task(repo, change):
    commit = repo.commit(files=files("shop/task.json", "shop/sink.json", "other/task.json"))
    repo.commit(files={f"{ROOT}/{path}": text for path, text in change.items()})
    assert changed(repo, commit) == {"shop"}


def test_tasks_that_come_and_go_are_differences(repo):
    commit = repo.commit(files=files("shop/task.json", "other/task.json"))
    repo.git("mv", f"{ROOT}/shop", f"{ROOT}/moved")
    repo.commit()
    assert changed(repo, commit) == {"shop", "moved"}


def test_what_leaves_every_task_as_it_is_is_no_difference(repo):
    commit = repo.commit(files=files("shop/task.json", "other/task.json", "shop/.hidden") | {"README.md": "old"})
    repo.commit("about the rest", {"README.md": "new", f"{ROOT}/docs/x.md": "", f"{ROOT}/shop/.hidden": "new"})
    (repo.path / ROOT / "shop" / "task.json").chmod(0o755)
    repo.commit("mode")
    assert repo.git("diff", "--name-only", commit, "HEAD").count("\n") == 3
    assert changed(repo, commit) == set()


def test_what_a_link_leads_to_is_part_of_the_task(repo):
    link(repo, "shop/sink.json", "../common/shared.json")
    link(repo, "copy", "base")
    commit = repo.commit(files=files("shop/task.json", "base/task.json", "common/shared.json"))
    repo.commit(files=files("common/shared.json", text="[]"))
    assert changed(repo, commit) == {"shop"}
    commit = repo.commit(files=files("base/task.json", text="[]"))
    assert changed(repo, repo.git("rev-parse", "HEAD~1")) == {"base", "copy"}


def test_a_link_that_is_switched_is_a_difference(repo):
    link(repo, "shop", "one")
    commit = repo.commit(files=files("one/task.json", "two/task.json", "two/sink.json"))
    (repo.path / ROOT / "shop").unlink()
    link(repo, "shop", "two")
    repo.commit()
    assert changed(repo, commit) == {"shop"}


def test_unrelated_repositories_can_be_compared(repo, tmp_path):
    other = Repo.make(tmp_path / "other")
    one, two = committed(repo, "shop/task.json", "a/task.json"), committed(other, "shop/task.json", "b/task.json")
    assert one.differences(two) == {"a", "b"}


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"garbage", None, b""], ids=["garbage", "missing", "empty"])
def test_a_damaged_file_is_an_error_of_its_task_only(repo, content):
    repo.commit(files=files("shop/task.json") | files("shop/sink.json", "other/task.json", text="[]\n"))
    blob = spoil(repo, f"HEAD:{ROOT}/shop/task.json", content)
    entry = tree_of(repo).entry("shop")
    assert entry.stamp is not None
    (violation,) = entry.read().violations
    assert (violation.rule, violation.file, violation.expected) == ("unreadable", "shop/task.json", "a readable file")
    assert violation.found.startswith(f"object {blob}: ")
    assert "git fsck" in violation.suggestion
    assert entry.stamp is None
    assert problems(tree_of(repo), "other") == set()


def test_a_file_that_is_stored_as_something_else_is_an_error(repo):
    repo.commit(files=files("shop/task.json"))
    tree = repo.git("rev-parse", "HEAD^{tree}")
    place = repo.write("tree", b"100644 task.json\0" + bytes.fromhex(tree))
    odd = repo.git("hash-object", "-t", "tree", "-w", "--literally", str(place))
    top = repo.git("mktree", input=f"040000 tree {odd}\tshop\n")
    commit = repo.git("commit-tree", "-m", "odd", top)
    assert problems(tree_of(repo, commit, root=""), "shop") == {
        ("unreadable", "shop/task.json", f"object {tree}: it is no file")
    }


def test_a_damaged_link_is_an_error_of_its_task_only(repo):
    link(repo, "shop/sink.json", "../other/task.json")
    link(repo, "copy", "shop/../other")
    repo.commit(files=files("other/task.json"))
    file, folder = spoil(repo, f"HEAD:{ROOT}/shop/sink.json"), spoil(repo, f"HEAD:{ROOT}/copy", None)
    tree = tree_of(repo)
    assert problems(tree, "shop") == {("unreadable", "shop/sink.json", f"object {file} cannot be read")}
    assert problems(tree, "copy") == {
        ("unreadable", "copy", f"a link that cannot be followed: object {folder} cannot be read")
    }


@pytest.mark.parametrize("spec", ["HEAD^{tree}", f"HEAD:{ROOT}", f"HEAD:{ROOT}/shop"])
@pytest.mark.parametrize("content", [b"garbage", None], ids=["garbage", "missing"])
def test_a_damaged_tree_is_an_error_that_names_it(repo, spec, content):
    repo.commit(files=files("shop/task.json", "other/sink.json"))
    damaged = spoil(repo, spec, content)
    with pytest.raises(DesiredStateError, match=f"tree {damaged} cannot be read: .*git -C .* fsck.*fetch it again"):
        tree_of(repo)


def test_a_tree_with_a_name_that_no_file_can_have_is_damaged(repo):
    repo.commit(files=files("shop/task.json"))
    blob = repo.git("rev-parse", f"HEAD:{ROOT}/shop/task.json")
    place = repo.write("tree", b"100644 a/b\0" + bytes.fromhex(blob))
    odd = repo.git("hash-object", "-t", "tree", "-w", "--literally", str(place))
    commit = repo.git("commit-tree", "-m", "odd", odd)
    with pytest.raises(DesiredStateError, match='it holds a name with "/"'):
        tree_of(repo, commit, root="")


def test_a_tree_that_is_gone_after_it_was_listed_is_an_error(repo):
    entry = committed(repo, "shop/task.json").entry("shop")
    spoil(repo, f"HEAD:{ROOT}/shop", None)
    pygit2.settings.enable_caching(False)  # else libgit2 still has it
    try:
        with pytest.raises(DesiredStateError, match=r"tree .* cannot be read"):
            entry.read()
    finally:
        pygit2.settings.enable_caching(True)


@pytest.mark.parametrize("command", ["repack -adq", "gc --quiet --prune=now"])
def test_a_repository_may_be_packed_anew_between_listing_and_reading(repo, command):
    repo.commit(files=sample_files())
    tree = tree_of(repo)
    repo.git("repack", "-dq")
    repo.commit(files={f"{ROOT}/new/task.json": "{}"})
    repo.git(*command.split())
    assert {name: raw for name, raw in read(tree_of(repo)).items() if name != "new"} == read(tree)


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_new_commit_opens_only_the_trees_on_the_way_to_what_changed_and_no_file(repo):
    repo.commit(files={f"{ROOT}/team-{number % 3}/{number}/task.json": f"[{number}]" for number in range(30)})
    before = tree_of(repo)
    repo.commit(files=files("team-1/4/sink.json", text='{"workerNum": 5}'))
    way = ("HEAD", "HEAD^{tree}", *(f"HEAD:{path}" for path in (ROOT, f"{ROOT}/team-1", f"{ROOT}/team-1/4")))
    needed = {repo.git("rev-parse", spec) for spec in way}
    for place in (repo.path / ".git/objects").glob("??/*"):
        if place.parent.name + place.name not in needed:
            place.unlink()
    after = tree_of(repo, before=before)
    assert after.differences(before) == {"team-1/4"}
    assert len(after.names()) == 30


def imported(repo, texts, parent=""):
    """A commit of many files, made at once."""
    author = "committer Ann <ann@example.com> 1700000000 +0000"
    lines = ["commit refs/heads/main", author, "data 0", *([f"from {parent}"] if parent else [])]
    lines += [f"M 100644 inline {path}\ndata {len(text)}\n{text}" for path, text in texts.items()]
    repo.git("fast-import", "--quiet", "--force", input="\n".join(lines) + "\n")
    return repo.git("rev-parse", "main")


class Counted:
    """An open repository that counts the objects it was asked for."""

    def __init__(self, opened):
        self.opened, self.reads = opened, 0

    def __getattr__(self, name):
        return getattr(self.opened, name)

    def __getitem__(self, object_id):
        self.reads += 1
        return self.opened[object_id]


def test_of_ten_thousand_tasks_only_the_one_that_changed_is_read(repo):
    texts = {
        f"{ROOT}/team-{number % 50:02}/task-{number:05}/{file}": f'{{"number": {number}}}'
        for number in range(10_000)
        for file in ("task.json", "sink.json")
    }
    first = imported(repo, texts)
    repository = Repository.discover(repo.path / ROOT)
    repository.opened = counted = Counted(repository.opened)
    before = CommitTree(repository, first)
    assert counted.reads > 10_000
    changed = next(iter(texts))
    second = imported(repo, {changed: '{"number": "another"}'}, parent=first)
    counted.reads = 0
    after = CommitTree(repository, second, before=before)
    (name,) = after.differences(before)
    assert (len(after.names()), f"{ROOT}/{name}/task.json", counted.reads < 10) == (10_000, changed, True)
    assert after.entry(name).read().files["task.json"] == b'{"number": "another"}'
    assert counted.reads < 15
