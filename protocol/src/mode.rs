//! What the workers of a server are for.

/// Whether heaps are kept. It is decided when a server starts, and holds for all its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An execution begins with nothing, and leaves nothing.
    Stateless,
    /// An execution can begin with a stored heap, and its own is saved. A worker then has a heap window.
    Stateful,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stateless, Self::Stateful];

    /// Its word on the worker's command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Stateful => "stateful",
        }
    }
}
