//! Installs the compiled system call policy (`policies/seccomp`, `build/seccomp.rs`).

use nix::errno::Errno;

/// A step of a BPF program: code, jump if true, jump if false, operand.
pub type Instruction = (u16, u8, u8, u32);

/// The filters for one processor.
#[derive(Debug, Clone, Copy)]
pub struct Compiled {
    /// The processor.
    pub architecture: &'static str,
    /// Whether memory may be made executable.
    pub executable_memory: bool,
    /// Lets everything through, but refuses some calls.
    pub refuse: &'static [Instruction],
    /// Lets everything through, but answers some calls with success, and nothing is done.
    pub pretend: &'static [Instruction],
    /// Lets through what the policy answers otherwise, and kills for everything else.
    pub kill: &'static [Instruction],
}

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// Every compiled policy, for the tests.
pub fn all() -> &'static [Compiled] {
    COMPILED
}

/// The filters with the number of the process in its place, in the order of installation.
pub fn for_process(compiled: &Compiled, pid: u32) -> [Vec<Instruction>; 3] {
    let fill = |program: &[Instruction]| {
        program
            .iter()
            .map(|&(code, jt, jf, k)| (code, jt, jf, if k == SELF { pid } else { k }))
            .collect()
    };
    [
        fill(compiled.refuse),
        fill(compiled.pretend),
        fill(compiled.kill),
    ]
}

/// Installs the filters. After this, only what the policy lists is possible.
///
/// `no_new_privs` must be set.
pub(super) fn install(executable_memory: bool) -> Result<String, Errno> {
    let compiled = COMPILED
        .iter()
        .find(|compiled| {
            compiled.architecture == std::env::consts::ARCH
                && compiled.executable_memory == executable_memory
        })
        .ok_or(Errno::ENOSYS)?;
    let pid = u32::try_from(nix::unistd::getpid().as_raw()).map_err(|_| Errno::ERANGE)?;
    // The one that kills comes last: it would kill for installing another.
    for program in for_process(compiled, pid) {
        let mut steps: Vec<libc::sock_filter> = program
            .into_iter()
            .map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
            .collect();
        let program = libc::sock_fprog {
            len: u16::try_from(steps.len()).map_err(|_| Errno::E2BIG)?,
            filter: steps.as_mut_ptr(),
        };
        // `Speculation` has taken the stronger measure where there is one; the kernel's own for
        // filtered processes would slow everything down.
        let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        // SAFETY: the program points to so many steps, which live until the call returns; the
        // kernel copies and checks them.
        Errno::result(unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        })?;
    }
    Ok(format!(
        "three filters, {}, {} and {} steps{}",
        compiled.refuse.len(),
        compiled.pretend.len(),
        compiled.kill.len(),
        if executable_memory {
            ""
        } else {
            ", no executable memory"
        }
    ))
}
