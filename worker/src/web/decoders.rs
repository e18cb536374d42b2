//! The incremental text decoders that `TextDecoder` streams through, by number.
//!
//! A decoder is state outside the heap. One that a stored heap refers to is gone in the next run; its
//! number is then unknown, which the script is told.

use std::collections::HashMap;

use encoding_rs::{CoderResult, Decoder, DecoderResult, Encoding};

/// Decoders that one script may have open.
const DECODERS_MAX: usize = 65_536;

/// Why something was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeTextError {
    /// Not the name of an encoding.
    #[error("The encoding label provided is invalid.")]
    Label,
    /// Malformed input for a decoder that was told to be strict.
    #[error("The encoded data is not valid")]
    Data,
    /// More text than a string can hold.
    #[error("The text is too long")]
    TooLong,
    /// No such decoder in this run.
    #[error(
        "This TextDecoder was in the middle of a stream when its heap was stored; make a new one"
    )]
    Gone,
    /// Too many decoders are open.
    #[error("too many TextDecoders are in the middle of a stream")]
    TooMany,
}

#[derive(Default)]
pub(crate) struct Decoders {
    open: HashMap<u32, (Decoder, bool)>,
    last: u32,
}

impl Decoders {
    pub(crate) fn open(
        &mut self,
        label: &str,
        fatal: bool,
        ignore_bom: bool,
    ) -> Result<u32, DecodeTextError> {
        if self.open.len() >= DECODERS_MAX {
            return Err(DecodeTextError::TooMany);
        }
        let decoder = decoder(label, ignore_bom)?;
        self.last = self.last.wrapping_add(1);
        self.open.insert(self.last, (decoder, fatal));
        Ok(self.last)
    }

    /// Decodes a chunk; the last one closes the decoder.
    pub(crate) fn decode(
        &mut self,
        id: u32,
        bytes: &[u8],
        last: bool,
    ) -> Result<Vec<u16>, DecodeTextError> {
        let (decoder, fatal) = self.open.get_mut(&id).ok_or(DecodeTextError::Gone)?;
        let text = run(decoder, *fatal, bytes, last);
        if last || text.is_err() {
            self.open.remove(&id);
        }
        text
    }
}

/// Decodes a whole text.
pub(crate) fn decode_all(
    label: &str,
    fatal: bool,
    ignore_bom: bool,
    bytes: &[u8],
) -> Result<Vec<u16>, DecodeTextError> {
    run(&mut decoder(label, ignore_bom)?, fatal, bytes, true)
}

fn decoder(label: &str, ignore_bom: bool) -> Result<Decoder, DecodeTextError> {
    let encoding =
        Encoding::for_label_no_replacement(label.as_bytes()).ok_or(DecodeTextError::Label)?;
    Ok(if ignore_bom {
        encoding.new_decoder_without_bom_handling()
    } else {
        encoding.new_decoder_with_bom_removal()
    })
}

fn run(
    decoder: &mut Decoder,
    fatal: bool,
    bytes: &[u8],
    last: bool,
) -> Result<Vec<u16>, DecodeTextError> {
    let room = decoder
        .max_utf16_buffer_length(bytes.len())
        .ok_or(DecodeTextError::TooLong)?;
    let mut text = vec![0; room];
    let written = if fatal {
        match decoder.decode_to_utf16_without_replacement(bytes, &mut text, last) {
            (DecoderResult::InputEmpty, _, written) => written,
            (DecoderResult::OutputFull, ..) => return Err(DecodeTextError::TooLong),
            (DecoderResult::Malformed(..), ..) => return Err(DecodeTextError::Data),
        }
    } else {
        match decoder.decode_to_utf16(bytes, &mut text, last) {
            (CoderResult::InputEmpty, _, written, _) => written,
            (CoderResult::OutputFull, ..) => return Err(DecodeTextError::TooLong),
        }
    };
    text.truncate(written);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(units: Vec<u16>) -> String {
        String::from_utf16(&units).unwrap()
    }

    #[test]
    fn a_character_split_between_chunks_is_put_together() {
        let mut decoders = Decoders::default();
        let id = decoders.open("utf-8", false, false).unwrap();
        let euro = "€".as_bytes();
        assert_eq!(text(decoders.decode(id, &euro[..1], false).unwrap()), "");
        assert_eq!(text(decoders.decode(id, &euro[1..], true).unwrap()), "€");
        assert_eq!(decoders.decode(id, b"x", true), Err(DecodeTextError::Gone));
    }

    #[test]
    fn strict_decoders_refuse_what_others_replace() {
        assert_eq!(
            text(decode_all("utf-8", false, false, b"a\xff").unwrap()),
            "a\u{fffd}"
        );
        assert_eq!(
            decode_all("utf-8", true, false, b"a\xff"),
            Err(DecodeTextError::Data)
        );
        assert_eq!(
            decode_all("no-such", true, false, b""),
            Err(DecodeTextError::Label)
        );
        assert_eq!(
            text(decode_all("windows-1252", true, false, b"\x80").unwrap()),
            "€"
        );
    }
}
