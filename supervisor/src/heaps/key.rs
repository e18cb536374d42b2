//! The key that heaps are sealed with.
//!
//! Whoever has it can make workers load any bytes as a heap, so the file is read by its owner alone.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::hex::Hex;
use crate::key_file::{KEY_BYTES, KeyError, KeyUse, load_or_make};

const BLOCK_BYTES: usize = 64;

pub(super) const MAC_BYTES: usize = 32;
pub(super) const KEY_NAME_BYTES: usize = 8;

/// What one key's MACs are made for, so that none can stand for another.
const NAMING: &[u8] = b"mcp-v8 name of a key";
const SEALING: &[u8] = b"mcp-v8 seal of a heap";

/// A key. Its name tells it from others and says nothing about it.
#[derive(Clone)]
pub(super) struct SealKey {
    mac: Hmac<Sha256>,
    name: [u8; KEY_NAME_BYTES],
}

impl SealKey {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        // HMAC fills a key up to its block with zeros.
        let mut block = [0; BLOCK_BYTES];
        block[..KEY_BYTES].copy_from_slice(bytes);
        let mac = Hmac::<Sha256>::new(&block.into());
        let whole = mac.clone().chain_update(NAMING).finalize().into_bytes();
        let mut name = [0; KEY_NAME_BYTES];
        name.copy_from_slice(&whole[..KEY_NAME_BYTES]);
        Self { mac, name }
    }

    /// Tells it from others; says nothing about it.
    pub(super) fn name(&self) -> [u8; KEY_NAME_BYTES] {
        self.name
    }

    /// The MAC of these bytes, one after the other.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether that is their MAC, in a time that says nothing about where they differ.
    pub(super) fn verify(&self, parts: &[&[u8]], mac: &[u8; MAC_BYTES]) -> bool {
        self.over(parts).verify(mac.into()).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mac = self.mac.clone().chain_update(SEALING);
        parts.iter().fold(mac, |mac, part| mac.chain_update(part))
    }

    /// Reads the key in this file, which is made first when it is missing. Of several that make it at
    /// once, one wins, and all get its key.
    pub(super) fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        load_or_make(KeyUse::Heaps, path).map(|bytes| Self::new(&bytes))
    }
}

/// Shows that a key file is in use.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    File::open(path)?.set_modified(SystemTime::now())
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", Hex(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn a_key_is_made_private_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/heap.key");
        let made = SealKey::load_or_make(&path).unwrap();
        let again = SealKey::load_or_make(&path).unwrap();
        assert_eq!(made.name(), again.name());
        assert_eq!(made.mac(&[b"a"]), again.mac(&[b"a"]));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let parent = path.parent().unwrap();
        assert_eq!(fs::metadata(parent).unwrap().mode() & 0o777, 0o700);
        let names: Vec<_> = fs::read_dir(parent).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing else is left: {names:?}");
        let digits = fs::read_to_string(&path).unwrap();
        assert_eq!(format!("{made:?}").len(), "SealKey()".len() + 16);
        assert!(!digits.contains(&Hex(&made.name()).to_string()));
    }

    #[test]
    fn all_that_start_at_once_get_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heap.key");
        let together = Barrier::new(16);
        let names: Vec<_> = thread::scope(|scope| {
            let start = || {
                together.wait();
                SealKey::load_or_make(&path).unwrap().name()
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn keys_and_their_macs_differ() {
        let directory = tempfile::tempdir().unwrap();
        let make = |name| SealKey::load_or_make(&directory.path().join(name)).unwrap();
        let (one, two) = (make("one"), make("two"));
        assert_ne!(one.name(), two.name());
        let mac = one.mac(&[b"ab", b"c"]);
        assert!(one.verify(&[b"abc"], &mac));
        assert!(!two.verify(&[b"abc"], &mac));
        assert!(!one.verify(&[b"abd"], &mac));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heap.key");
        SealKey::load_or_make(&path).unwrap();
        for mode in [0o660, 0o604, 0o620, 0o602, 0o610, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = SealKey::load_or_make(&path).unwrap_err();
            assert!(matches!(error, KeyError::Public { .. }), "{error}");
            assert!(error.to_string().contains(&format!("{mode:03o}")));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        SealKey::load_or_make(&path).unwrap();
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let good = "0123456789abcdef".repeat(4);
        for bad in [
            String::new(),
            "\n".to_owned(),
            good[1..].to_owned(),
            format!("{good}0"),
            format!("{good}\n\n"),
            format!(" {good}"),
            good.to_uppercase(),
            format!("{}é", &good[2..]),
        ] {
            let path = directory.path().join("heap.key");
            fs::write(&path, &bad).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = SealKey::load_or_make(&path).unwrap_err();
            assert!(
                matches!(error, KeyError::Malformed { .. }),
                "{bad}: {error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        let error = SealKey::load_or_make(directory.path()).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
        let within_a_file = directory.path().join("heap.key/heap.key");
        let error = SealKey::load_or_make(&within_a_file).unwrap_err();
        assert!(matches!(error, KeyError::Unreadable { .. }), "{error}");
    }
}
