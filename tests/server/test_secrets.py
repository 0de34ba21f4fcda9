from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from carto_like.server.errors import StartError
from carto_like.server.secrets import Secrets, keep_secret, new_token, read_secret, same, write_private

ONE = Secrets(b"1" * 32)
TWO = Secrets(b"2" * 32)
ANA = UUID(int=1)
BEN = UUID(int=2)


def test_tokens_come_back_only_with_secret_and_owner() -> None:
    stored = ONE.encrypt_token("token-in-clear", ANA)
    assert b"token-in-clear" not in stored
    assert stored != ONE.encrypt_token("token-in-clear", ANA)
    assert ONE.decrypt_token(stored, ANA) == "token-in-clear"
    for secrets, owner in ((TWO, ANA), (ONE, BEN)):
        with pytest.raises(ValueError, match="cannot be decrypted"):
            secrets.decrypt_token(stored, owner)


def test_what_is_derived_differs_by_secret_and_purpose() -> None:
    derived = [
        *(ONE.role_password("a"), ONE.role_password("b"), TWO.role_password("a")),
        *(ONE.fingerprint(), TWO.fingerprint(), ONE.derive("cookies").hex(), ONE.token_index("a").hex()),
    ]
    assert len(set(derived)) == len(derived)
    assert ONE.role_password("a") == Secrets(b"1" * 32).role_password("a")


def test_the_verifier_holds_no_password() -> None:
    verifier = ONE.scram_verifier("role")
    assert verifier.startswith("SCRAM-SHA-256$")
    assert ONE.role_password("role") not in verifier
    assert verifier != ONE.scram_verifier("role")


def test_new_tokens_are_long_random_and_fit_for_urls() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 40 and token.isalnum() for token in tokens)


def test_comparison() -> None:
    assert same("é", "é")
    assert not same("a", "b")


def test_nothing_shows_the_secret() -> None:
    assert "1111" not in repr(ONE)
    assert "1111" not in str(vars(ONE).keys())


def test_a_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(StartError, match="has 5 bytes") as caught:
        Secrets(b"short")
    assert "short" not in str(caught.value)


def test_the_secret_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = keep_secret(path)
    assert len(secret) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert keep_secret(path) == read_secret(path) == secret
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_readable_or_absent_secret_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with pytest.raises(StartError, match="No such file"):
        read_secret(path)
    write_private(path, b"s" * 40)
    path.chmod(0o640)
    with pytest.raises(StartError, match=r"chmod 600"):
        read_secret(path)
