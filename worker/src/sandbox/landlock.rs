//! A Landlock domain that allows nothing, made anew for each worker.
//!
//! A domain that a fork server made is shared by its workers, and processes of one domain may signal
//! and trace each other; so each worker makes its own, below that.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use nix::errno::Errno;

/// Why there is no domain.
#[derive(Debug, thiserror::Error)]
pub(super) enum LandlockError {
    #[error("{0}")]
    Ruleset(#[from] landlock::RulesetError),
    #[error("the kernel claims Landlock and enforces nothing")]
    NotEnforced,
    #[error("the kernel claims Landlock, but the root directory can be opened")]
    NoEffect,
}

/// The newest version that is known here; the kernel enforces what it knows of it.
const NEWEST: ABI = ABI::V10;

/// The first version that keeps signals in. Some kernels claim it and let signals out (those of RHEL
/// 9), so it is found by effect; all later ones keep it.
pub(super) const FIRST_WITH_SCOPES: u32 = 6;

/// The version that the kernel claims; 0 when it has none.
pub(super) fn claimed_abi() -> u32 {
    const VERSION: libc::c_ulong = 1;
    // SAFETY: with no attributes and this flag the call gives a number.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0usize,
            VERSION,
        )
    };
    u32::try_from(abi).unwrap_or(0)
}

/// Enters a new domain without a single rule: everything that is handled is denied. The rights of
/// the first version are required, all later ones are taken where the kernel has them.
pub(super) fn enter() -> Result<String, LandlockError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(LandlockError::NotEnforced);
    }
    if root_can_be_opened() {
        return Err(LandlockError::NoEffect);
    }
    // SAFETY: there are no arguments.
    let parent = unsafe { libc::getppid() };
    let signals = if parent > 0 && can_signal(parent) {
        ", which lets signals out"
    } else {
        ""
    };
    Ok(format!("version {}{signals}", claimed_abi()))
}

/// Whether a process could be signalled. None is sent.
pub(super) fn can_signal(process: libc::pid_t) -> bool {
    // SAFETY: integers only.
    unsafe { libc::kill(process, 0) == 0 }
}

fn root_can_be_opened() -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: opens a directory, or fails.
    let fd = unsafe { libc::open(c"/".as_ptr(), flags) };
    if Errno::result(fd).is_err() {
        return false;
    }
    // SAFETY: it was just opened, and nothing else knows it.
    unsafe { libc::close(fd) };
    true
}
