//! Places in lists, as clients get them. A place is the number of a row, and rows of all tenants are
//! numbered together: from the number itself a client could tell how much others do. So a cursor is that
//! number encrypted for its list and tenant, and anything else is no cursor of theirs.
//!
//! The key is in the database: every server on it knows the cursors of the others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::error::Error;
use crate::store::{CURSOR_KEY_BYTES, ListPosition};
use crate::tenant::Tenant;

/// A list that is read in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Executions,
    Sessions,
    Heaps,
}

impl List {
    /// What tells its cursors from those of others; the number is that of their form.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Executions => b"executions 2",
            Self::Sessions => b"sessions 2",
            Self::Heaps => b"heaps 2",
        }
    }
}

/// What one key's MACs are made for, so that none can stand for another.
const SIGNING: &[u8] = b"mcp-v8 cursor";
const HIDING: &[u8] = b"mcp-v8 number in a cursor";

const BLOCK_BYTES: usize = 64;
const SIGN_BYTES: usize = 16;
const NUMBER_BYTES: usize = size_of::<i64>();

/// Makes and reads cursors. The sign of a number is the MAC of all that it is for, and what hides the
/// number is made from the sign (as in SIV, RFC 5297): no two numbers are hidden alike, and a sign that
/// does not come out again was not made here.
#[derive(Clone)]
pub(super) struct Cursors(Hmac<Sha256>);

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors")
    }
}

impl Cursors {
    pub(super) fn new(key: &[u8; CURSOR_KEY_BYTES]) -> Self {
        // HMAC fills a key up to its block with zeros.
        let mut block = [0; BLOCK_BYTES];
        block[..CURSOR_KEY_BYTES].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    /// A place in a list of this tenant.
    pub(super) fn cursor(&self, list: List, tenant: &Tenant, position: ListPosition) -> String {
        let number = position.0.to_be_bytes();
        let whole = self.signing(list, tenant, number).finalize().into_bytes();
        let mut sign = [0; SIGN_BYTES];
        sign.copy_from_slice(&whole[..SIGN_BYTES]);
        let mut cursor = [0; SIGN_BYTES + NUMBER_BYTES];
        cursor[..SIGN_BYTES].copy_from_slice(&sign);
        cursor[SIGN_BYTES..].copy_from_slice(&self.hidden(sign, number));
        URL_SAFE_NO_PAD.encode(cursor)
    }

    /// The place that a cursor stands for; none without one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no cursor of this list and tenant.
    pub(super) fn position(
        &self,
        list: List,
        tenant: &Tenant,
        cursor: Option<&str>,
    ) -> Result<Option<ListPosition>, Error> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let position = self.read(list, tenant, cursor);
        position.map(Some).ok_or_else(|| Error::Invalid {
            field: "cursor",
            problem: "it is not a cursor of this list".to_owned(),
            allowed: "next_cursor of the page before, unchanged, or none for the first page"
                .to_owned(),
        })
    }

    fn read(&self, list: List, tenant: &Tenant, cursor: &str) -> Option<ListPosition> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (sign, hidden) = bytes.split_first_chunk::<SIGN_BYTES>()?;
        let number = self.hidden(*sign, hidden.try_into().ok()?);
        let signing = self.signing(list, tenant, number);
        signing.verify_truncated_left(sign).ok()?;
        Some(ListPosition(i64::from_be_bytes(number)))
    }

    fn signing(&self, list: List, tenant: &Tenant, number: [u8; NUMBER_BYTES]) -> Hmac<Sha256> {
        // A label ends before the number, which has a fixed length: no two are written alike.
        let signing = self.0.clone().chain_update(SIGNING);
        let signing = signing.chain_update([0]).chain_update(list.label());
        let signing = signing.chain_update([0]).chain_update(number);
        signing.chain_update(tenant.name())
    }

    /// Hides a number, or shows one that was hidden.
    fn hidden(&self, sign: [u8; SIGN_BYTES], mut number: [u8; NUMBER_BYTES]) -> [u8; NUMBER_BYTES] {
        let hiding = self.0.clone().chain_update(HIDING).chain_update([0]);
        let mask = hiding.chain_update(sign).finalize().into_bytes();
        for (byte, mask) in number.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTS: [List; 3] = [List::Executions, List::Sessions, List::Heaps];

    fn cursors(key: u8) -> Cursors {
        Cursors::new(&[key; CURSOR_KEY_BYTES])
    }

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    #[test]
    fn a_cursor_says_nothing_to_who_does_not_have_the_key() {
        let shown = |position| {
            let cursor = cursors(1).cursor(List::Executions, &tenant("a"), ListPosition(position));
            URL_SAFE_NO_PAD.decode(cursor).unwrap()
        };
        let texts: Vec<Vec<u8>> = (0..1000).map(shown).collect();
        for pair in texts.windows(2) {
            assert_eq!(pair[0].len(), pair[1].len());
            // What neighbours have in common is chance: no byte in ten is the same by it.
            let alike = pair[0].iter().zip(&pair[1]).filter(|(a, b)| a == b);
            assert!(alike.count() < 6, "{pair:?}");
        }
    }

    #[test]
    fn no_text_that_was_not_given_out_is_a_cursor() {
        let one = tenant("a");
        for text in [
            "",
            "77",
            "e1-4d",
            "e1-",
            "\u{e9}",
            "====",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            for list in LISTS {
                let read = cursors(1).position(list, &one, Some(text));
                assert!(
                    matches!(
                        read,
                        Err(Error::Invalid {
                            field: "cursor",
                            ..
                        })
                    ),
                    "{text}"
                );
            }
        }
        assert_eq!(cursors(1).position(List::Heaps, &one, None), Ok(None));
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_to_its_list_and_tenant_alone(
            number: i64, list in 0..3_usize, at in 0..24_usize, bit in 0..8_u32,
        ) {
            let (cursors, one, place) = (cursors(1), tenant("a"), ListPosition(number));
            let list = LISTS[list];
            let cursor = cursors.cursor(list, &one, place);
            prop_assert_eq!(cursors.read(list, &one, &cursor), Some(place));
            prop_assert_eq!(&cursors.cursor(list, &one, place), &cursor);
            for other in LISTS.into_iter().filter(|other| *other != list) {
                prop_assert_eq!(cursors.read(other, &one, &cursor), None);
            }
            for other in ["b", "aa", "a "] {
                prop_assert_eq!(cursors.read(list, &tenant(other), &cursor), None);
            }
            prop_assert_eq!(super::tests::cursors(2).read(list, &one, &cursor), None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            bytes[at] ^= 1 << bit;
            let changed = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(cursors.read(list, &one, &changed), None);
        }
    }
}
