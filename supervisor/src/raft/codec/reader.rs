//! Reading bytes one after another, and never more than there are.

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It ends too early.
    #[error("a packet ends before its end")]
    Short,
    /// It is longer than a packet may be.
    #[error("a packet is longer than {} bytes", crate::limits::PACKET_BYTES_MAX)]
    TooLong,
    /// Another version wrote it.
    #[error(
        "a packet has format {found}; this program knows {}",
        super::PACKET_FORMAT
    )]
    Format {
        /// What was found.
        found: u8,
    },
    /// A part of it is none, or out of its bounds.
    #[error("a packet has a {what} that is none, or is larger than it may be")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// There are bytes behind it.
    #[error("{bytes} bytes follow a packet")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// What has not been read yet.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins with these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`PacketError::Short`], as of all that read.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], PacketError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(PacketError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// So many bytes, known when this was compiled.
    ///
    /// # Errors
    /// [`PacketError::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PacketError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| PacketError::Short)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`PacketError::Short`].
    pub fn u8(&mut self) -> Result<u8, PacketError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A byte that is 0 or 1.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn bool(&mut self) -> Result<bool, PacketError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(PacketError::Malformed {
                what: "truth value",
            }),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// [`PacketError::Short`].
    pub fn u32(&mut self) -> Result<u32, PacketError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A number.
    ///
    /// # Errors
    /// [`PacketError::Short`].
    pub fn u64(&mut self) -> Result<u64, PacketError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things that take at least `each` bytes: no more than there is room for.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn count(
        &mut self,
        what: &'static str,
        most: usize,
        each: usize,
    ) -> Result<usize, PacketError> {
        let count = self.u32()? as usize;
        if count > most || count.saturating_mul(each) > self.rest.len() {
            return Err(PacketError::Malformed { what });
        }
        Ok(count)
    }

    /// Bytes with their length in front.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn bytes(&mut self, what: &'static str, most: usize) -> Result<&'a [u8], PacketError> {
        let count = self.count(what, most, 1)?;
        self.take(count)
    }

    /// Text with its length in front.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn text(&mut self, what: &'static str, most: usize) -> Result<String, PacketError> {
        let bytes = self.bytes(what, most)?;
        let text = std::str::from_utf8(bytes).map_err(|_| PacketError::Malformed { what })?;
        Ok(text.to_owned())
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// [`PacketError::Trailing`].
    pub const fn end(&self) -> Result<(), PacketError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(PacketError::Trailing {
                bytes: self.rest.len(),
            })
        }
    }
}

/// Writes bytes with their length in front.
pub(super) fn write_bytes(
    out: &mut Vec<u8>,
    what: &'static str,
    most: usize,
    bytes: &[u8],
) -> Result<(), PacketError> {
    write_count(out, what, most, bytes.len())?;
    out.extend(bytes);
    Ok(())
}

/// Writes a count.
pub(super) fn write_count(
    out: &mut Vec<u8>,
    what: &'static str,
    most: usize,
    count: usize,
) -> Result<(), PacketError> {
    match u32::try_from(count) {
        Ok(number) if count <= most => {
            out.extend(number.to_le_bytes());
            Ok(())
        }
        _ => Err(PacketError::Malformed { what }),
    }
}
