//! What the operator decides about the jail and the engine of workers. The worker's program knows
//! the same words.

use std::ffi::CStr;
use std::fmt;

/// How much of a worker's jail must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxMode {
    /// The filter, the limits and all else that every Linux has, and Landlock or namespaces.
    #[default]
    Required,
    /// Landlock and namespaces only where the machine has them.
    BestEffort,
}

/// How much of V8's machinery scripts get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineTier {
    /// All compilers.
    #[default]
    Jit,
    /// No optimising compilers.
    Baseline,
    /// No generated code, no executable memory, no WebAssembly.
    Jitless,
}

/// Both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jail {
    /// How much of the jail must hold.
    pub sandbox: SandboxMode,
    /// How much of V8 scripts get.
    pub engine_tier: EngineTier,
}

impl SandboxMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Required, Self::BestEffort];

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.to_string() == name)
    }

    const fn word(self) -> &'static CStr {
        match self {
            Self::Required => c"required",
            Self::BestEffort => c"best-effort",
        }
    }
}

impl EngineTier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jit, Self::Baseline, Self::Jitless];

    /// The tier of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.to_string() == name)
    }

    const fn word(self) -> &'static CStr {
        match self {
            Self::Jit => c"jit",
            Self::Baseline => c"baseline",
            Self::Jitless => c"jitless",
        }
    }
}

impl Jail {
    /// The arguments of a worker's program, behind its subcommand.
    pub fn arguments(self) -> [&'static CStr; 4] {
        [
            c"--sandbox",
            self.sandbox.word(),
            c"--engine-tier",
            self.engine_tier.word(),
        ]
    }
}

impl fmt::Display for SandboxMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().to_string_lossy())
    }
}

impl fmt::Display for EngineTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for mode in SandboxMode::ALL {
            assert_eq!(SandboxMode::from_name(&mode.to_string()), Some(mode));
        }
        for tier in EngineTier::ALL {
            assert_eq!(EngineTier::from_name(&tier.to_string()), Some(tier));
        }
        assert_eq!(SandboxMode::from_name("none"), None);
    }
}
