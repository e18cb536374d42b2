//! Files with a secret: who may get at one, the same rule for each of them.
//!
//! It belongs to the server's user or to root. Others than its owner may do nothing with it, with one exception:
//! where root owns it, its group may read. Root has then said who that is, and service managers (systemd's
//! credentials, Kubernetes' secrets) hand secrets on in this way.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::unistd::geteuid;

/// Why a file is not read. The text goes on after its name.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe or the like.
    #[error("is no file")]
    NoFile,
    /// Others could have read or changed it.
    #[error("is open to others (its mode is {mode:03o})")]
    Public {
        /// Its permissions.
        mode: u32,
    },
    /// Who owns it could have read or changed it.
    #[error("belongs to another user")]
    Alien,
}

/// Opens a file that nobody else may have read or written.
pub(crate) fn open(path: &Path) -> Result<File, NotPrivate> {
    // A pipe would never end, and must not be waited for.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    // What was opened, whatever has taken its name since.
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(NotPrivate::NoFile);
    }
    if is_public(about.mode(), about.uid()) {
        let mode = about.mode() & 0o777;
        return Err(NotPrivate::Public { mode });
    }
    if about.uid() != geteuid().as_raw() && about.uid() != 0 {
        return Err(NotPrivate::Alien);
    }
    Ok(file)
}

/// Whether others may do what only its owner should with a file of this mode.
fn is_public(mode: u32, owner: u32) -> bool {
    let harmless = if owner == 0 { 0o740 } else { 0o700 };
    mode & 0o777 & !harmless != 0
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn the_group_may_read_what_root_owns_and_nothing_else() {
        for mode in [0o600, 0o400, 0o440, 0o640] {
            assert!(!is_public(mode, 0), "{mode:o}");
            assert_eq!(is_public(mode, 1000), mode & 0o040 != 0, "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o620, 0o610, 0o660, 0o602, 0o601] {
            assert!(is_public(mode, 0), "{mode:o}");
            assert!(is_public(mode, 1000), "{mode:o}");
        }
    }

    #[test]
    fn what_is_opened_is_a_file_of_ones_own() {
        let place = tempfile::tempdir().unwrap();
        assert!(matches!(open(place.path()), Err(NotPrivate::NoFile)));
        let path = place.path().join("secret");
        assert!(matches!(open(&path), Err(NotPrivate::Unreadable(_))));
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(
            open(&path),
            Err(NotPrivate::Public { mode: 0o604 })
        ));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(open(&path).is_ok());
        // Only root can give something away.
        if geteuid().is_root() {
            chown(&path, Some(12_345), None).unwrap();
            assert!(matches!(open(&path), Err(NotPrivate::Alien)));
        }
    }
}
