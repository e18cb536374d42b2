//! Memory for saving a heap, had before it is needed.
//!
//! While V8 makes a snapshot, the C library gives it lists that double as they grow. Each would be a
//! mapping of its own, whose pages the kernel gives one by one, in a fault each: a fifteenth of the CPU
//! time of an execution that keeps a small heap. So the pages are had at once, and stay for the next list
//! when one goes. What a larger heap needs beyond them is mapped as ever.

/// What is had, in bytes: what saving the heap of a script that keeps little takes. So large a block is
/// a mapping of its own.
const STOCK_BYTES: i32 = 2 << 20;

/// The largest pages that a kernel has.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Has the memory. Call it before the jail is shut: the filter lets no such advice through.
pub fn lay_in() {
    // SAFETY: they set two numbers of the C library's allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, STOCK_BYTES);
        // More than that of unused memory goes back to the kernel.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * STOCK_BYTES);
    }
    let bytes = STOCK_BYTES as usize - PAGE_BYTES_MAX;
    let mut block: Vec<u8> = Vec::with_capacity(bytes);
    let start = block.as_mut_ptr();
    let start = start.wrapping_add(start.align_offset(PAGE_BYTES_MAX));
    let length = bytes - PAGE_BYTES_MAX;
    // SAFETY: it changes nothing in the pages, all of which are the block's. Kernels before 5.14 refuse
    // it, and then the pages come one by one.
    unsafe { libc::madvise(start.cast(), length, libc::MADV_POPULATE_WRITE) };
}
