//! Installs the compiled system call policy (`policies/seccomp`, `build/seccomp.rs`).

use nix::errno::Errno;

/// A step of a BPF program: code, jump if true, jump if false, operand.
pub type Instruction = (u16, u8, u8, u32);

/// The filter for one processor and tier.
#[derive(Debug, Clone, Copy)]
pub struct Compiled {
    /// The processor.
    pub architecture: &'static str,
    /// Whether memory may be made executable.
    pub executable_memory: bool,
    /// The filter: refuses, pretends, lets through, and kills for everything else.
    pub steps: &'static [Instruction],
}

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// Every compiled policy, for the tests.
pub fn all() -> &'static [Compiled] {
    COMPILED
}

/// The filter with the number of the process in its place.
pub fn for_process(compiled: &Compiled, pid: u32) -> Vec<Instruction> {
    let own = |k| if k == SELF { pid } else { k };
    let steps = compiled.steps.iter();
    steps
        .map(|&(code, jt, jf, k)| (code, jt, jf, own(k)))
        .collect()
}

/// Installs the filter. After this, only what the policy lists is possible.
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
    let mut steps: Vec<libc::sock_filter> = for_process(compiled, pid)
        .into_iter()
        .map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
        .collect();
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).map_err(|_| Errno::E2BIG)?,
        filter: steps.as_mut_ptr(),
    };
    // `Speculation` has taken the stronger measure where there is one; the kernel's own for filtered
    // processes would slow everything down.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the program points to so many steps, which live until the call returns; the kernel copies
    // and checks them.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    })?;
    let memory = if executable_memory {
        ""
    } else {
        ", no executable memory"
    };
    Ok(format!("a filter of {} steps{memory}", steps.len()))
}
