use std::env::consts::ARCH;

use proptest::prelude::*;

use super::*;
use crate::heaps::snapshot::Snapshot;

struct Sealer {
    key: SealKey,
    tenant: Tenant,
    build: BuildId,
    _directory: tempfile::TempDir,
}

impl Sealer {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            key: SealKey::load_or_make(&directory.path().join("key")).unwrap(),
            tenant: "alice".parse().unwrap(),
            build: BuildId::new("15.1.2", "f00d").unwrap(),
            _directory: directory,
        }
    }

    fn label(&self, snapshot: &[u8]) -> Label<'_> {
        Label {
            tenant: &self.tenant,
            build: &self.build,
            id: HeapId::of(snapshot),
        }
    }

    fn seal(&self, snapshot: &[u8]) -> Vec<u8> {
        seal(&self.key, self.label(snapshot), snapshot)
    }

    fn open(&self, snapshot: &[u8], blob: &[u8]) -> Result<Vec<u8>, Refusal> {
        open(&self.key, self.label(snapshot), blob)
    }

    /// Seals what no server would: with a header and a payload of the test's own.
    fn forge(&self, label: Label<'_>, snapshot_bytes: u64, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.extend(MAGIC);
        blob.extend(FORMAT.to_le_bytes());
        blob.extend(self.key.name());
        blob.extend(label.id.as_bytes());
        blob.extend(snapshot_bytes.to_le_bytes());
        blob.extend((payload.len() as u64).to_le_bytes());
        blob.push(kind);
        for text in texts(label) {
            blob.push(text.len().try_into().unwrap());
            blob.extend(text.as_bytes());
        }
        let mac = self.key.mac(&[&blob, Sha256::digest(payload).as_slice()]);
        blob.extend(mac);
        blob.extend(payload);
        blob
    }
}

/// Packs a snapshot, and wraps it.
fn seal(key: &SealKey, label: Label<'_>, snapshot: &[u8]) -> Vec<u8> {
    let snapshot = Snapshot::verified(label.id, snapshot.to_vec());
    super::seal(key, label, &Packed::pack(&snapshot))
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn damage(opened: Result<Vec<u8>, Refusal>) -> Damage {
    match opened.unwrap_err() {
        Refusal::Damaged(damage) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_shrinks_is_packed_and_what_does_not_is_kept_as_it_is() {
    let sealer = Sealer::new();
    let even = vec![7; 100_000];
    let blob = sealer.seal(&even);
    assert!(blob.len() < 1000, "{}", blob.len());
    assert_eq!(sealer.open(&even, &blob), Ok(even));

    let noise = noise(100_000);
    let blob = sealer.seal(&noise);
    assert!(blob.ends_with(&noise));
    assert!(blob.len() <= noise.len() + HEADER_BYTES_MAX);
    assert_eq!(sealer.open(&noise, &blob), Ok(noise));
}

#[test]
fn what_is_opened_for_another_node_is_what_was_sealed() {
    let (sealer, other) = (Sealer::new(), Sealer::new());
    for snapshot in [vec![7; 100_000], noise(100_000), Vec::new()] {
        let label = sealer.label(&snapshot);
        let blob = Bytes::from(sealer.seal(&snapshot));
        let packed = open_packed(&sealer.key, label, &blob).unwrap();
        // The other one seals it with its own key, and its server can open it.
        let there = super::seal(&other.key, label, &packed);
        assert_eq!(open(&other.key, label, &there), Ok(snapshot.clone()));
        assert_eq!(blob.len(), there.len());
        let mut bad = blob.to_vec();
        *bad.last_mut().unwrap() ^= 1;
        assert!(open_packed(&sealer.key, label, &bad.into()).is_err());
        assert!(open_packed(&other.key, label, &blob).is_err());
    }
}

#[test]
fn equal_snapshots_have_equal_envelopes() {
    let sealer = Sealer::new();
    assert_eq!(sealer.seal(&[1; 5000]), sealer.seal(&[1; 5000]));
}

#[test]
fn no_bit_can_be_flipped() {
    let sealer = Sealer::new();
    for snapshot in [vec![3; 2000], noise(300)] {
        let blob = sealer.seal(&snapshot);
        for bit in 0..8 * blob.len() {
            let mut bad = blob.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let refusal = sealer.open(&snapshot, &bad).unwrap_err();
            let format = 8 * MAGIC.len()..8 * (MAGIC.len() + 2);
            match refusal {
                Refusal::Damaged(_) => assert!(!format.contains(&bit), "bit {bit}"),
                Refusal::Incompatible { .. } => assert!(format.contains(&bit), "bit {bit}"),
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn each_field_is_told_apart() {
    let sealer = Sealer::new();
    let snapshot = noise(300);
    let blob = sealer.seal(&snapshot);
    let texts_at = FIXED_BYTES;
    let mac_at = texts_at + "alice".len() + "15.1.2".len() + "f00d".len() + ARCH.len() + TEXTS;
    for (at, expected) in [
        (0, Damage::Alien),
        (MAGIC.len() - 1, Damage::Alien),
        (MAGIC.len() + 2, Damage::OtherKey),
        // The id, the lengths, the compression.
        (18, Damage::Seal),
        (49, Damage::Seal),
        (50, Damage::Seal),
        // The tenant, V8, the fingerprint, the architecture.
        (texts_at + 1, Damage::Seal),
        (texts_at + 7, Damage::Seal),
        (texts_at + 14, Damage::Seal),
        (texts_at + 19, Damage::Seal),
        (mac_at, Damage::Seal),
        (mac_at + MAC_BYTES - 1, Damage::Seal),
        (mac_at + MAC_BYTES, Damage::Seal),
        (blob.len() - 1, Damage::Seal),
    ] {
        let mut bad = blob.clone();
        bad[at] ^= 1;
        assert_eq!(damage(sealer.open(&snapshot, &bad)), expected, "byte {at}");
    }
    // The length of the payload, which is also where it ends.
    let mut bad = blob.clone();
    bad[58] += 1;
    assert_eq!(damage(sealer.open(&snapshot, &bad)), Damage::Short);
    bad[58] -= 2;
    assert_eq!(damage(sealer.open(&snapshot, &bad)), Damage::Long);
    bad[58] += 1;
    bad[66] = 2;
    assert_eq!(damage(sealer.open(&snapshot, &bad)), Damage::Header);
}

#[test]
fn no_byte_can_be_missing_or_added() {
    let sealer = Sealer::new();
    let snapshot = vec![9; 3000];
    let blob = sealer.seal(&snapshot);
    for length in 0..blob.len() {
        assert_eq!(
            damage(sealer.open(&snapshot, &blob[..length])),
            Damage::Short
        );
    }
    for extra in [1, 100, 100_000] {
        let longer = [blob.as_slice(), &vec![0; extra]].concat();
        assert_eq!(damage(sealer.open(&snapshot, &longer)), Damage::Long);
    }
}

#[test]
fn what_others_sealed_is_refused() {
    let sealer = Sealer::new();
    let snapshot = vec![5; 1000];
    let own = sealer.label(&snapshot);
    let bob = "bob".parse().unwrap();
    let foreign = seal(
        &sealer.key,
        Label {
            tenant: &bob,
            ..own
        },
        &snapshot,
    );
    assert_eq!(sealer.open(&snapshot, &foreign), Err(Refusal::Foreign));

    for (v8, fingerprint, architecture) in [
        ("15.1.1", "f00d", ARCH),
        ("15.1.2", "f00e", ARCH),
        ("15.1.2", "f00d", "riscv64"),
    ] {
        let build = BuildId::with_architecture(v8, fingerprint, architecture).unwrap();
        let older = seal(
            &sealer.key,
            Label {
                build: &build,
                ..own
            },
            &snapshot,
        );
        assert_eq!(
            sealer.open(&snapshot, &older),
            Err(Refusal::Incompatible {
                found: build.to_string(),
                wanted: sealer.build.to_string(),
            })
        );
    }

    let other = Sealer::new();
    let blob = other.seal(&snapshot);
    assert_eq!(damage(sealer.open(&snapshot, &blob)), Damage::OtherKey);
    // Nor does it help to claim our key.
    let mut claimed = blob;
    claimed[10..18].copy_from_slice(&sealer.key.name());
    assert_eq!(damage(sealer.open(&snapshot, &claimed)), Damage::Seal);

    let another = sealer.seal(&[6; 1000]);
    assert_eq!(damage(sealer.open(&snapshot, &another)), Damage::Misnamed);
}

#[test]
fn parts_of_two_envelopes_do_not_make_a_third() {
    let sealer = Sealer::new();
    let (one, two) = (noise(500), noise(500));
    let (first, second) = (sealer.seal(&one), sealer.seal(&two));
    let payload_at = first.len() - 500;
    let mixed = [&first[..payload_at], &second[payload_at..]].concat();
    assert_eq!(damage(sealer.open(&one, &mixed)), Damage::Seal);
    assert_eq!(damage(sealer.open(&two, &mixed)), Damage::Seal);
}

#[test]
fn a_sealed_lie_is_bounded_and_refused() {
    let sealer = Sealer::new();
    let label = sealer.label(b"x");
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    assert!(bomb.len() < 10_000);
    for claimed in [0, 1, 1 << 20] {
        let blob = sealer.forge(label, claimed, ZSTD, &bomb);
        assert_eq!(damage(sealer.open(b"x", &blob)), Damage::Unpacking);
    }
    let blob = sealer.forge(label, 64 << 20, ZSTD, &bomb);
    assert_eq!(damage(sealer.open(b"x", &blob)), Damage::Content);
    for claimed in [HEAP_BYTES_MAX as u64 + 1, u64::MAX] {
        let blob = sealer.forge(label, claimed, ZSTD, &bomb);
        assert_eq!(
            sealer.open(b"x", &blob),
            Err(Refusal::TooLarge { bytes: claimed })
        );
    }
    for (kind, payload, expected) in [
        (ZSTD, b"not zstd".as_slice(), Damage::Unpacking),
        (ZSTD, b"", Damage::Unpacking),
        (PLAIN, b"xy", Damage::Unpacking),
        (PLAIN, b"y", Damage::Content),
    ] {
        let blob = sealer.forge(label, 1, kind, payload);
        assert_eq!(damage(sealer.open(b"x", &blob)), expected);
    }
    assert_eq!(
        sealer.open(b"x", &sealer.forge(label, 1, PLAIN, b"x")),
        Ok(b"x".to_vec())
    );
}

/// Snapshots that shrink and such that do not.
fn snapshots() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4000),
        (prop::collection::vec(any::<u8>(), 0..40), 0_usize..200)
            .prop_map(|(part, times)| part.repeat(times)),
    ]
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        snapshot in snapshots(),
        tenant in "[^\\p{C}]{1,32}",
        v8 in "[!-~]{1,128}",
        fingerprint in "[!-~]{1,128}",
        architecture in "[!-~]{1,128}",
    ) {
        let sealer = Sealer::new();
        let tenant: Tenant = tenant.parse().unwrap();
        let build = BuildId::with_architecture(&v8, &fingerprint, &architecture).unwrap();
        let label = Label { tenant: &tenant, build: &build, id: HeapId::of(&snapshot) };
        let blob = seal(&sealer.key, label, &snapshot);
        prop_assert!(blob.len() <= snapshot.len() + HEADER_BYTES_MAX);
        prop_assert_eq!(open(&sealer.key, label, &blob), Ok(snapshot));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), begins in any::<bool>()) {
        let sealer = Sealer::new();
        let bytes = if begins { [&MAGIC[..], &FORMAT.to_le_bytes(), &bytes].concat() } else { bytes };
        prop_assert!(sealer.open(b"x", &bytes).is_err());
    }

    #[test]
    fn sealed_nonsense_is_refused(claimed in any::<u64>(), kind in 0_u8..=1, payload in prop::collection::vec(any::<u8>(), 0..2000)) {
        let sealer = Sealer::new();
        let blob = sealer.forge(sealer.label(b"x"), claimed, kind, &payload);
        if payload != b"x" {
            prop_assert!(sealer.open(b"x", &blob).is_err());
        }
    }

    #[test]
    fn a_changed_envelope_is_refused(
        snapshot in snapshots(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 1..8),
    ) {
        let sealer = Sealer::new();
        let blob = sealer.seal(&snapshot);
        let mut bad = blob.clone();
        for (place, change) in changes {
            bad[place.index(blob.len())] ^= change;
        }
        prop_assert!(bad == blob || sealer.open(&snapshot, &bad).is_err());
    }
}
