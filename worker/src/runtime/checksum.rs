//! V8's checksum of a snapshot, which V8 takes twice of each that it makes.
//!
//! V8 divides twice for every byte: a fifth of the CPU time of an execution that keeps a small heap. This
//! gives the same sums, and divides once for a block. It has V8's name for it, so that the linker, which
//! finds it first, leaves V8's own in the library. `tests/checksum.rs` has it verify what V8's own summed up.

const MODULUS: u32 = 65_535;

/// How much is added up between divisions, in bytes: so little that nothing overflows, and a constant, so
/// that the compiler adds up many at once.
const BLOCK_BYTES: u32 = 64;

/// `v8::internal::Checksum(v8::base::Vector<const uint8_t>)`.
///
/// # Safety
/// `start` is that of so many bytes.
#[unsafe(export_name = "_ZN2v88internal8ChecksumENS_4base6VectorIKhEE")]
unsafe extern "C" fn checksum(start: *const u8, length: usize) -> u32 {
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller says so.
    fletcher32(unsafe { std::slice::from_raw_parts(start, length) })
}

fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut sum, mut sum_of_sums) = (0, 0);
    let (blocks, rest) = bytes.as_chunks::<{ BLOCK_BYTES as usize }>();
    for block in blocks {
        let (mut plain, mut weighted) = (0, 0);
        for (byte, already) in block.iter().zip(0..) {
            plain += u32::from(*byte);
            weighted += u32::from(*byte) * (BLOCK_BYTES - already);
        }
        sum_of_sums = (sum_of_sums + BLOCK_BYTES * sum + weighted) % MODULUS;
        sum = (sum + plain) % MODULUS;
    }
    for byte in rest {
        sum = (sum + u32::from(*byte)) % MODULUS;
        sum_of_sums = (sum_of_sums + sum) % MODULUS;
    }
    sum_of_sums << 16 | sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As V8 has it.
    fn plainly(bytes: &[u8]) -> u32 {
        let (mut sum, mut sum_of_sums) = (0, 0);
        for byte in bytes {
            sum = (sum + u32::from(*byte)) % 65_535;
            sum_of_sums = (sum_of_sums + sum) % 65_535;
        }
        sum_of_sums << 16 | sum
    }

    #[test]
    fn the_sums_are_those_of_the_plain_algorithm() {
        let mixed: Vec<u8> = (0..100_000_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let highest = vec![u8::MAX; 100_000];
        for bytes in [mixed, highest] {
            for length in (0..300).chain([65_535, 65_536, 100_000]) {
                assert_eq!(fletcher32(&bytes[..length]), plainly(&bytes[..length]));
            }
        }
    }

    #[test]
    fn nothing_sums_up_to_nothing() {
        // SAFETY: no byte is read.
        assert_eq!(unsafe { checksum(std::ptr::null(), 0) }, 0);
    }
}
