//! Capabilities: finding out which there are, and giving up all of them.

use nix::errno::Errno;

/// The ones that matter here, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Capability {
    Kill = 5,
    SetGid = 6,
    SetUid = 7,
    SysAdmin = 21,
}

const VERSION_3: u32 = 0x2008_0522;
const CAPABILITY_MAX: libc::c_ulong = 63;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Set {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn get() -> Result<[Set; 2], Errno> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut sets = [Set::default(); 2];
    // SAFETY: both have the layout that version 3 says.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw const header, &raw mut sets) })?;
    Ok(sets)
}

fn set(sets: [Set; 2]) -> Result<(), Errno> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    // SAFETY: both have the layout that version 3 says.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const sets) })
        .map(drop)
}

/// Tells whether this process has a capability in effect.
pub(super) fn effective() -> impl Fn(Capability) -> bool {
    let effective = get().map_or(0, |sets| sets[0].effective);
    move |capability| effective & (1 << capability as u8) != 0
}

/// Empties the bounding and the ambient set, then all others but `keep`.
pub(super) fn drop_all_but(keep: Option<Capability>) -> Result<&'static str, Errno> {
    // SAFETY: numbers only.
    let ambient = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    Errno::result(ambient)?;
    let bounding = empty_bounding_set();
    let kept = keep.map_or(0, |capability| 1 << capability as u8);
    let sets = get()?;
    set([
        Set {
            effective: sets[0].effective & kept,
            permitted: sets[0].permitted & kept,
            inheritable: 0,
        },
        Set::default(),
    ])?;
    let left = get()?;
    if left[0].permitted & !kept != 0 || left[1].permitted != 0 {
        return Err(Errno::EPERM);
    }
    // Without CAP_SETPCAP the bounding set stays; it only matters to programs that are executed,
    // and no_new_privs holds for those.
    Ok(if bounding {
        "none, and none in the bounding set"
    } else {
        "none"
    })
}

fn empty_bounding_set() -> bool {
    for capability in 0..=CAPABILITY_MAX {
        // SAFETY: numbers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // Beyond the last one that the kernel knows.
            Err(Errno::EINVAL) => break,
            Err(_) => return false,
        }
    }
    true
}

/// Whether this process has none, in no set but perhaps the bounding one.
pub(super) fn has_none() -> bool {
    get().is_ok_and(|sets| sets == [Set::default(); 2])
}
