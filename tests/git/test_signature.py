"""What git says of real signatures, made by real keys; its exit code is 0 for good ones only."""

from pathlib import Path

import pytest

from reconciler.git.program import Git
from reconciler.git.repository import Repository
from reconciler.git.signature import why_not
from tests.git.signing import LAST_CENTURY, signed_by_gpg, signed_by_ssh, ssh_key, tampered


@pytest.fixture
def git(repo, keyring, monkeypatch):
    repo.commit("first")
    monkeypatch.setenv("GNUPGHOME", str(keyring.home))
    return Git(Repository.discover(repo.path))


@pytest.fixture
def key(tmp_path):
    ssh_key(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def signers(tmp_path, key):
    return allow(tmp_path, key)


def allow(folder, key, options=""):
    file = folder / "signers"
    file.write_text(f"ann@example.com {options} {key.with_suffix('.pub').read_text()}")
    return file


def test_an_unsigned_commit(git, repo):
    assert git.verify(repo.head()) == "it is not signed"


# --- GPG -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def gpg_key(keyring):
    return keyring.make("ann")


def test_a_gpg_signature_by_a_key_in_the_keyring(git, repo, keyring, gpg_key):
    assert git.verify(signed_by_gpg(repo, keyring, gpg_key)) == ""


def test_a_gpg_signature_by_a_key_of_which_nobody_said_that_it_is_trusted(git, repo, keyring, gpg_key, tmp_path):
    commit = signed_by_gpg(repo, keyring, gpg_key)
    (keyring.home / "trustdb.gpg").unlink()
    assert git.verify(commit) == ""


def test_git_decides_about_trust_where_it_is_told_to(git, repo, keyring, gpg_key):
    commit = signed_by_gpg(repo, keyring, gpg_key)
    (keyring.home / "trustdb.gpg").unlink()
    repo.git("config", "gpg.minTrustLevel", "fully")
    assert "its signature cannot be checked" in git.verify(commit)


def test_a_gpg_signature_by_an_unknown_key(git, repo, keyring, gpg_key, tmp_path, monkeypatch):
    commit = signed_by_gpg(repo, keyring, gpg_key)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path))
    assert f"not in the keyring: {gpg_key[-16:]}; " in Git(Repository.discover(repo.path)).verify(commit)


def test_a_gpg_signature_of_another_content(git, repo, keyring, gpg_key):
    commit = tampered(repo, signed_by_gpg(repo, keyring, gpg_key))
    assert "does not match its content" in git.verify(commit)


def test_a_gpg_signature_by_a_key_that_has_expired(git, repo, keyring):
    key = keyring.make("old", "--faked-system-time", LAST_CENTURY, expires="1d")
    commit = signed_by_gpg(repo, keyring, key, clock=LAST_CENTURY)
    assert git.verify(commit) == f"it is signed with a key that has expired: {key[-16:]}"


def test_a_gpg_signature_by_a_revoked_key(git, repo, keyring):
    key = keyring.make("lost")
    commit = signed_by_gpg(repo, keyring, key)
    keyring.revoke(key)
    assert git.verify(commit) == f"it is signed with a key that was revoked: {key[-16:]}"


def test_a_damaged_gpg_signature_and_a_message_that_claims_to_be_good(git, repo):
    header = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----\n"
    text = f"tree {repo.git('rev-parse', 'HEAD^{tree}')}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n{header}"
    message = "\n[GNUPG:] GOODSIG 1 x\n[GNUPG:] VALIDSIG 1\n"
    commit = repo.git("hash-object", "-t", "commit", "-w", "--stdin", input=text + message)
    assert git.verify(commit) == "its signature is damaged"


def test_a_replaced_commit_does_not_lend_its_signature(git, repo, keyring, gpg_key):
    unsigned, signed = repo.head(), signed_by_gpg(repo, keyring, gpg_key)
    repo.git("update-ref", f"refs/replace/{unsigned}", signed)
    assert git.verify(unsigned) == "it is not signed"


# --- SSH -------------------------------------------------------------------------------------------------------------


def test_an_ssh_signature_by_an_allowed_signer(git, repo, key, signers):
    assert git.verify(signed_by_ssh(repo, key), signers) == ""


def test_an_ssh_signature_by_an_allowed_signer_of_gits_own_configuration(git, repo, key, signers):
    repo.git("config", "gpg.ssh.allowedSignersFile", str(signers))
    assert git.verify(signed_by_ssh(repo, key)) == ""


def test_a_file_of_signers_is_looked_for_where_reconciler_runs(git, repo, key, signers, monkeypatch):
    monkeypatch.chdir(signers.parent)
    assert git.verify(signed_by_ssh(repo, key), Path(signers.name)) == ""


def test_an_ssh_signature_by_somebody_else(git, repo, signers, tmp_path):
    ssh_key(tmp_path / "other")
    commit = signed_by_ssh(repo, tmp_path / "other")
    assert "it is signed with an SSH key that is not among the allowed signers: SHA256:" in git.verify(commit, signers)


def test_an_ssh_signature_of_another_content(git, repo, key, signers):
    assert "does not match its content" in git.verify(tampered(repo, signed_by_ssh(repo, key)), signers)


def test_an_ssh_key_that_has_expired(git, repo, key, tmp_path):
    signers = allow(tmp_path, key, 'valid-before="20200101"')
    assert "key has expired" in git.verify(signed_by_ssh(repo, key), signers)


def test_an_ssh_key_for_another_purpose(git, repo, key, tmp_path):
    signers = allow(tmp_path, key, 'namespaces="file"')
    assert 'not permitted for use in signature namespace "git"' in git.verify(signed_by_ssh(repo, key), signers)


def test_a_revoked_ssh_key(git, repo, key, signers):
    repo.git("config", "gpg.ssh.revocationFile", str(key.with_suffix(".pub")))
    assert "the key was revoked" in git.verify(signed_by_ssh(repo, key), signers)


@pytest.mark.parametrize("file", [None, Path("/nonexistent/signers")], ids=["not set", "not there"])
def test_an_ssh_signature_without_a_file_of_signers(git, repo, key, file):
    assert "set desired_state.allowed_signers" in git.verify(signed_by_ssh(repo, key), file)


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_missing_gpg_is_no_good_signature(git, repo, keyring, gpg_key):
    commit = signed_by_gpg(repo, keyring, gpg_key)
    repo.git("config", "gpg.program", "/nonexistent/gpg")
    assert git.verify(commit).startswith("its signature cannot be checked: fatal: cannot run /nonexistent/gpg")


def test_a_missing_git_is_no_good_signature(repo, monkeypatch):
    commit = repo.commit()
    monkeypatch.setenv("PATH", "")
    assert "the git program cannot be run" in Git(Repository.discover(repo.path)).verify(commit)


def test_only_a_whole_id_is_checked(git):
    with pytest.raises(ValueError, match="expected a commit id"):
        git.verify("--help")


def test_what_git_says_is_shortened_and_shown_safely():
    words = why_not(1, f"\x1b[31mred {'x' * 1000}")
    assert words.startswith(r"its signature cannot be checked: \x1b[31mred xxx")
    assert len(words) < 400
