//! A word at the moment of a crash: that memory had run out, if it had.
//!
//! V8 says why it dies when its own heap is full, but what lies around V8 does not: ICU writes through
//! the null pointer that it was given instead of memory, C++ aborts. From outside both look like a
//! script that has broken the engine. So each worker looks once more, at the moment of its death: when
//! the kernel refuses even a little memory, it says so. The supervisor knows the words
//! (`workers::exit`), and takes them for what they are: a worker's own.
//!
//! The handler does not return: that would need a system call more (`rt_sigreturn`). It takes no lock
//! and no memory, and ends the process by the signal that it was called for, whose default action the
//! kernel has put back before it calls (`SA_RESETHAND`). `SIGBUS` is left as it is: a refusal of memory
//! never ends in it.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use nix::errno::Errno;

/// What a failed allocation ends in: ICU, hardened C++, V8's checks, `abort`.
const SIGNALS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];

/// Who cannot have so much has no memory left, in bytes.
const SHORT_BYTES: usize = 1 << 20;

/// The stack that the handler runs on, in bytes: a fault may well be that of the other stack. The
/// largest frame that a processor needs for its registers is about 11 KiB.
const STACK_BYTES: usize = 32 << 10;

/// What the worker says; [the supervisor](self) looks for the first three of these words.
const WORDS: &[u8] = b"\nout of memory: the kernel refused more at the moment of the crash\n";

#[repr(align(4096))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the kernel uses it, for one handler at a time of the one thread there is.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// Prepares the last words of this process.
pub(super) fn prepare() -> Result<(), Errno> {
    let stack = libc::stack_t {
        ss_sp: STACK.0.get().cast(),
        ss_flags: 0,
        ss_size: STACK_BYTES,
    };
    // SAFETY: the memory is static, and used for nothing else.
    Errno::result(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) })?;
    // SAFETY: plain old data; all zeroes is a value of it, with an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = say as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER;
    for signal in SIGNALS {
        // SAFETY: the handler does nothing but system calls, and instructions that end the process.
        Errno::result(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Whether the kernel refuses even a little memory. Takes no lock.
pub(super) fn is_short() -> bool {
    !super::rlimits::can_have(SHORT_BYTES)
}

extern "C" fn say(signal: libc::c_int) {
    if is_short() {
        // SAFETY: writes a static text to standard error, or fails.
        let _nobody_reads =
            unsafe { libc::write(libc::STDERR_FILENO, WORDS.as_ptr().cast(), WORDS.len()) };
    }
    die_of(signal)
}

/// Ends the process by the signal, whose action is the default again.
fn die_of(signal: libc::c_int) -> ! {
    match signal {
        // SAFETY: numbers only. Nothing else of this process would get it: it has one thread.
        libc::SIGABRT => unsafe {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal);
        },
        libc::SIGILL => instruction::illegal(),
        libc::SIGSEGV => instruction::fault(),
        _ => {}
    }
    // A process that is the first of its namespace does not die of a signal that it sends itself.
    // It dies of this, as V8 does where it gives up; and that nobody takes for a broken engine.
    instruction::trap();
    instruction::illegal();
    // Whoever made these three do nothing owns the process; the filter ends it.
    loop {
        // SAFETY: no system call has this number.
        unsafe { libc::syscall(-1) };
    }
}

/// Instructions that end the process with a signal that has its default action, even one that is the
/// first of its namespace.
mod instruction {
    /// `SIGTRAP`.
    pub(super) fn trap() {
        // SAFETY: the kernel ends the process, or enters the handler, which does not return.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("int3");
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("brk #0");
        }
    }

    /// `SIGILL`.
    pub(super) fn illegal() {
        // SAFETY: as above.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("ud2");
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("udf #0");
        }
    }

    /// `SIGSEGV`: a write to the first page, which nobody can map.
    pub(super) fn fault() {
        // SAFETY: as above.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("mov byte ptr [{}], 0", in(reg) 0_usize);
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("strb wzr, [{}]", in(reg) 0_usize);
        }
    }
}
