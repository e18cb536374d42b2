//! How much of V8's machinery scripts get.

/// A trade of speed against attack surface. The jail is the same in each, but for executable memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EngineTier {
    /// All compilers.
    #[default]
    Jit,
    /// No optimising compilers, of JavaScript and of WebAssembly, which is where most of V8's
    /// exploitable mistakes have been: about four times slower on hot code.
    Baseline,
    /// No generated code, no executable memory, no WebAssembly: about eight times slower on hot code.
    Jitless,
}

impl EngineTier {
    /// The name, as the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jit => "jit",
            Self::Baseline => "baseline",
            Self::Jitless => "jitless",
        }
    }

    /// Flags of V8 that make the tier.
    pub(crate) fn v8_flags(self) -> &'static str {
        match self {
            Self::Jit => "",
            Self::Baseline => "--disable-optimizing-compilers",
            Self::Jitless => "--jitless",
        }
    }

    /// Whether code is made at run time.
    pub(crate) fn needs_executable_memory(self) -> bool {
        !matches!(self, Self::Jitless)
    }
}
