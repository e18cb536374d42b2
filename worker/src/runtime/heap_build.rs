//! What a snapshot depends on beside V8's version.
//!
//! A snapshot holds numbers of host functions, positions in the order of the bootstrap's hooks, and
//! code that V8 made under its flags. A worker whose parts differ would load it without a complaint
//! and go wrong later. So all of this is summed up in one name, which goes into the seal of a heap.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::runtime::{engine, inspector_ops, scripts};
use crate::web::ops;

/// Forked workers find it made: summing up takes a tenth of the CPU time of a whole short execution.
static BUILD: LazyLock<String> = LazyLock::new(sum_up);

/// The name: 64 hexadecimal digits. V8 must have its flags.
pub fn heap_build() -> &'static str {
    &BUILD
}

fn sum_up() -> String {
    let mut sum = Sha256::new();
    let mut add = |part: &str| {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    };
    add(std::env::consts::ARCH);
    add(&engine::flags());
    for name in ops::names(&inspector_ops::ops()) {
        add(name);
    }
    add(scripts::BOOTSTRAP);
    for (name, text) in scripts::all() {
        add(name);
        add(text);
    }
    let digest: [u8; 32] = sum.finalize().into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_each_time_and_fits_its_field() {
        let build = heap_build();
        assert_eq!(build, sum_up());
        assert_eq!(build.len(), mcp_v8_protocol::limits::HEAP_BUILD_BYTES_MAX);
    }
}
