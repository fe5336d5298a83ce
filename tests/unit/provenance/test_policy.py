from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from untaint.errors import BadInput
from untaint.provenance import dsse, keys, policy, policy_file
from untaint.provenance.keys import PrivateKey
from untaint.provenance.policy import Decision

ALICE, BOB, CAROL, EVE = (keys.generate("ed25519") for _ in range(4))
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TWO_VETTERS = """
schema = "untaint.policy/v1"
max_age_days = 30
[require]
collector = 1
vetter = 2
[[key]]
name = "alice"
file = "alice.pub"
roles = ["collector", "vetter"]
[[key]]
name = "bob"
file = "bob.pub"
roles = ["vetter"]
expires = 2027-01-31
[[key]]
name = "carol"
file = "carol.pub"
roles = ["vetter"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, key in (("alice", ALICE), ("bob", BOB), ("carol", CAROL)):
        (tmp_path / f"{name}.pub").write_bytes(key.public.pem)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def decided(
    folder: Path, *signers: PrivateKey, created: datetime = NOW, now: datetime = NOW, text: str = TWO_VETTERS
) -> Decision:
    found = policy_file.read(written(folder, text))
    return policy.decide(dsse.sign(b"{}", signers), found, created=created, now=now)


def test_enough_signers(folder: Path) -> None:
    assert decided(folder, ALICE, BOB) == Decision(("alice", "bob"), ())
    assert decided(folder, ALICE, CAROL, EVE).accepted


def test_one_signer_where_two_are_needed(folder: Path) -> None:
    found = decided(folder, ALICE)
    assert not found.accepted
    (problem,) = found.problems
    assert problem.endswith("policy.toml requires 2 signers as vetter, and alice signed as such")


def test_nobody_in_a_role(folder: Path) -> None:
    (problem,) = decided(folder, BOB, CAROL).problems
    assert problem.endswith("requires one signer as collector, and nobody signed as such")


def test_a_wrong_key_counts_for_nothing(folder: Path) -> None:
    found = decided(folder, EVE)
    assert found.signers == ()
    assert len(found.problems) == 2


def test_one_key_under_two_names_counts_once(folder: Path) -> None:
    text = TWO_VETTERS.replace("bob.pub", "alice.pub")
    found = decided(folder, ALICE, text=text)
    assert not found.accepted
    with pytest.raises(BadInput, match="requires 2 signers as vetter and has 1 different keys"):
        decided(folder, ALICE, text=text.replace("carol.pub", "alice.pub"))


def test_a_key_that_has_expired(folder: Path) -> None:
    late = datetime(2027, 2, 1, tzinfo=UTC)
    found = decided(folder, ALICE, BOB, created=late, now=late)
    assert found.problems[0] == "the key of bob expired on 2027-01-31"
    assert "requires 2 signers as vetter, and alice signed" in found.problems[1]
    assert decided(folder, ALICE, BOB, CAROL, created=late, now=late).problems == ("the key of bob expired on 2027-01-31",)
    last = datetime(2027, 1, 31, 23, tzinfo=UTC)
    assert decided(folder, ALICE, BOB, created=last, now=last).accepted


def test_an_expired_vetting(folder: Path) -> None:
    (problem,) = decided(folder, ALICE, BOB, created=NOW - timedelta(days=31)).problems
    assert "more than 30 days ago: vet the data again" in problem
    signed = dsse.sign(b"{}", [ALICE, BOB])
    rules = policy_file.read(written(folder, TWO_VETTERS))
    found = policy.decide(signed, rules, created=NOW, now=NOW, expires=NOW - timedelta(seconds=1))
    assert found.problems == ("the statement counted until 2026-11-27T11:59:59Z: vet the data again",)


def test_a_clock_in_the_past(folder: Path) -> None:
    """Set back, it would make what has expired look fresh."""
    (problem,) = decided(folder, ALICE, BOB, now=NOW - timedelta(minutes=6)).problems
    assert "one clock is wrong" in problem
    assert decided(folder, ALICE, BOB, now=NOW - timedelta(minutes=4)).accepted


def test_the_policy_of_one_key() -> None:
    rules = policy.of_key(ALICE.public, "alice.pub")
    assert policy.decide(dsse.sign(b"{}", [ALICE]), rules, created=NOW, now=NOW) == Decision(("alice.pub",), ())
    (problem,) = policy.decide(dsse.sign(b"{}", [EVE]), rules, created=NOW, now=NOW).problems
    assert problem == "it is not signed with the key alice.pub"
    assert not policy.decide(dsse.sign(b"{}", [ALICE]), policy.Policy(()), created=NOW, now=NOW).accepted
    nobody = policy.of_keys({})
    assert not policy.decide(dsse.sign(b"{}", [ALICE]), nobody, created=NOW, now=NOW).accepted


def test_seals_and_attestations_ask_for_roles_of_their_own(folder: Path) -> None:
    rules = policy_file.read(
        written(
            folder,
            TWO_VETTERS.replace('["collector", "vetter"]', '["collector", "vetter", "trainer"]') + "[training]\ntrainer = 1\n",
        )
    )
    by_alice, by_bob = dsse.sign(b"{}", [ALICE]), dsse.sign(b"{}", [BOB])
    assert policy.decide(by_alice, rules, created=NOW, now=NOW, of="training").accepted
    assert not policy.decide(by_alice, rules, created=NOW, now=NOW).accepted
    (problem,) = policy.decide(by_bob, rules, created=NOW, now=NOW, of="training").problems
    assert problem.endswith("requires one signer as trainer, and nobody signed as such")
    (problem,) = policy.decide(
        by_alice, policy_file.read(written(folder, TWO_VETTERS)), created=NOW, now=NOW, of="training"
    ).problems
    assert problem.endswith("policy.toml asks for nothing here, so nothing meets it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "requires no signature, so anything would pass it"),
        ("[require]\n", "requires no signature"),
        ('[[key]]\nname = "a"\nroles = []\nfile = "alice.pub"', "requires no signature"),
        ("[require]\nvetter = 1", "requires one signer as vetter and has 0 different keys that may, so nothing can pass"),
        ("[require]\nvetter = 0", "greater than or equal to 1"),
        ("[require]\nvetter = true", "require.vetter"),
        ("[require]\nking = 1", "require.king"),
        ("[requires]\nvetter = 1", "requires: Extra inputs"),
        (
            'schema = "untaint.policy/v2"\n[require]\nvetter = 1',
            "has the schema 'untaint.policy/v2'; this release reads untaint.policy/v1",
        ),
        (TWO_VETTERS.replace("carol", "bob", 1), "two keys are called 'bob'"),
        (TWO_VETTERS.replace('file = "bob.pub"', ""), "the key 'bob' needs either `file` or `public`"),
        (TWO_VETTERS.replace('file = "bob.pub"', 'public = "hello"'), "`public` of 'bob' in .* is not a public key"),
        (TWO_VETTERS.replace('file = "bob.pub"', 'file = "none.pub"'), "no key at .*none.pub"),
        (TWO_VETTERS.replace("2027-01-31", '"tomorrow"'), "expires"),
        (TWO_VETTERS.replace("30", "-1"), "max_age_days"),
        (TWO_VETTERS + "[log]\nwitnesses = 1", "requires 1 witnesses and names 0 different ones"),
        ("[require", "cannot be used"),
        ("a = " + "[" * 5000, "cannot be used"),
    ],
)
def test_bad_policies(text: str, message: str, folder: Path) -> None:
    with pytest.raises(BadInput, match=message):
        policy_file.read(written(folder, text))


def test_a_policy_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no policy at"):
        policy_file.read(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot be used"):
        policy_file.read(tmp_path / "binary.toml")


def test_a_key_may_stand_in_the_policy_itself(folder: Path) -> None:
    text = TWO_VETTERS.replace('file = "bob.pub"', f'public = """{BOB.public.pem.decode()}"""')
    assert decided(folder, ALICE, BOB, text=text).accepted


STOLEN = '[[revoked]]\nname = "bob"\nwhy = "stolen"\n'


def test_a_revoked_key_counts_for_nothing_whatever_the_date(folder: Path) -> None:
    text = TWO_VETTERS + STOLEN
    found = decided(folder, ALICE, BOB, text=text, created=NOW - timedelta(days=20))
    assert found.signers == ("alice",)
    assert found.problems[0].endswith("requires 2 signers as vetter, and alice signed as such")
    assert found.problems[1] == "the key of bob was revoked: stolen"
    assert decided(folder, ALICE, CAROL, text=text).accepted
    assert decided(folder, ALICE, CAROL, BOB, text=text).accepted  # whoever stole it cannot spoil what others signed


def test_a_key_revoked_since_a_day(folder: Path) -> None:
    text = TWO_VETTERS + STOLEN.replace("why", "since = 2026-11-20\nwhy")
    assert decided(folder, ALICE, BOB, text=text, created=NOW - timedelta(days=8)).accepted  # the 19th
    late = decided(folder, ALICE, BOB, text=text, created=NOW - timedelta(days=7))
    assert late.problems[1] == "the key of bob was revoked for what is of 2026-11-20 or later: stolen"
    harder = text + STOLEN  # named twice, the harder counts
    assert not decided(folder, ALICE, BOB, text=harder, created=NOW - timedelta(days=8)).accepted


def test_a_key_is_revoked_under_every_name(folder: Path) -> None:
    """By its fingerprint, so that no second entry brings it back."""
    again = '[[key]]\nname = "robert"\nfile = "bob.pub"\nroles = ["vetter"]\n'
    text = f'{TWO_VETTERS}{again}[[revoked]]\nfingerprint = "{BOB.public.fingerprint}"\n'
    assert not decided(folder, ALICE, BOB, text=text).accepted
    stranger = TWO_VETTERS + f'[[revoked]]\nfingerprint = "{EVE.public.fingerprint}"\n'
    assert decided(folder, ALICE, BOB, text=stranger).accepted


def test_a_revoked_key_owns_no_log_and_is_no_witness(folder: Path) -> None:
    log = '[log]\nwitnesses = 1\n[[witness]]\nname = "w/1"\nfile = "carol.pub"\n'
    rules = policy_file.read(written(folder, TWO_VETTERS + log + STOLEN))
    assert (list(rules.witnesses), rules.standing(ALICE.public), rules.standing(BOB.public)) == (["w/1"], True, False)
    with pytest.raises(BadInput, match="requires 1 witnesses and names 0 different ones"):
        policy_file.read(
            written(folder, TWO_VETTERS.replace("= 2\n[[key]]", "= 1\n[[key]]") + log + STOLEN.replace("bob", "carol"))
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[revoked]]\n", "needs either `name`, of a key of this file, or `fingerprint`"),
        ('[[revoked]]\nname = "eve"\n', "it revokes 'eve', and no key is called so"),
        ('[[revoked]]\nfingerprint = "abc"\n', "revoked.0.fingerprint"),
        ('[[revoked]]\nname = "bob"\nsince = "never"\n', "revoked.0.since"),
        (STOLEN + STOLEN.replace("bob", "carol"), "requires 2 signers as vetter and has 1 different keys that may"),
    ],
)
def test_bad_revocations(text: str, message: str, folder: Path) -> None:
    with pytest.raises(BadInput, match=message):
        policy_file.read(written(folder, TWO_VETTERS + text))
