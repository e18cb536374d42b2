//! Texts that fit into one message.

/// The most bytes that the content of one message takes once it is written as JSON. Clients refuse
/// events above 1 MiB; the rest is room for what stands around the content.
pub(super) const CONTENT_BYTES_MAX: usize = (1 << 20) - (16 << 10);

/// Bytes of a character in a JSON string.
pub(super) fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        _ => character.len_utf8(),
    }
}

/// Bytes of a character in a JSON string within a JSON text that is itself in a JSON string.
pub(super) fn twice_escaped_bytes(character: char) -> usize {
    match character {
        // Both the backslash and what it escapes are escaped again.
        '"' | '\\' => 4,
        _ if escaped_bytes(character) == character.len_utf8() => character.len_utf8(),
        _ => escaped_bytes(character) + 1,
    }
}

/// The longest beginning of `text` whose characters take at most `room` bytes.
pub(super) fn beginning(text: &str, room: usize, bytes: fn(char) -> usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += bytes(*character);
        taken > room
    });
    match end {
        None => text,
        Some((end, _)) => text.get(..end).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_json() {
        let all = (0..0x250).chain([0x2028, 0xfffd, 0x1_f600]);
        for character in all.filter_map(char::from_u32) {
            let once = serde_json::to_string(&character.to_string()).unwrap();
            assert_eq!(escaped_bytes(character), once.len() - 2, "{character:?}");
            let twice = serde_json::to_string(&once[1..once.len() - 1]).unwrap();
            assert_eq!(
                twice_escaped_bytes(character),
                twice.len() - 2,
                "{character:?}"
            );
        }
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        assert_eq!(beginning("abc", 3, escaped_bytes), "abc");
        assert_eq!(beginning("abc", 2, escaped_bytes), "ab");
        assert_eq!(beginning("a\u{e9}b", 2, escaped_bytes), "a");
        assert_eq!(beginning("a\nb", 2, escaped_bytes), "a");
        assert_eq!(beginning("\"b", 4, twice_escaped_bytes), "\"");
        assert_eq!(beginning("", 0, escaped_bytes), "");
    }
}
