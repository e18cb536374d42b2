//! Places in lists, as clients get them. From a place itself a client could tell things that are not its
//! own: sessions and heaps of all tenants are numbered together, so that their numbers say how much others
//! do. So a cursor is a place encrypted for its list and tenant, and anything else is no cursor of theirs.
//!
//! The key is in the database, and shared by the nodes of a cluster: every server knows the cursors of the
//! others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::error::Error;
use super::executions::unreadable;
use super::workspace::Workspace;
use crate::store::{CURSOR_KEY_BYTES, CursorKey, ExecutionPosition, ListPosition};
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
            Self::Executions => b"executions 3",
            Self::Sessions => b"sessions 2",
            Self::Heaps => b"heaps 2",
        }
    }
}

/// A place in a list. All places in one list have as many bytes, [`PLACE_BYTES_MAX`] at most.
pub(super) trait Place: Sized {
    fn bytes(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Place for ListPosition {
    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes(bytes)
    }
}

impl Place for ExecutionPosition {
    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes(bytes)
    }
}

/// What one key's MACs are made for, so that none can stand for another.
const SIGNING: &[u8] = b"mcp-v8 cursor";
const HIDING: &[u8] = b"mcp-v8 number in a cursor";

const BLOCK_BYTES: usize = 64;
const SIGN_BYTES: usize = 16;
/// What a place is hidden by is one MAC.
const PLACE_BYTES_MAX: usize = 32;

/// Makes and reads cursors. The sign of a place is the MAC of all that it is for, and what hides the
/// place is made from the sign (as in SIV, RFC 5297): no two places are hidden alike, and a sign that
/// does not come out again was not made here.
#[derive(Clone)]
pub(super) struct Cursors(Hmac<Sha256>);

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors")
    }
}

impl Cursors {
    pub(super) fn new(key: CursorKey) -> Self {
        // HMAC fills a key up to its block with zeros.
        let mut block = [0; BLOCK_BYTES];
        block[..CURSOR_KEY_BYTES].copy_from_slice(&key.0);
        Self(Hmac::new(&block.into()))
    }

    /// A place in a list of this tenant.
    pub(super) fn cursor(&self, list: List, tenant: &Tenant, place: &impl Place) -> String {
        let mut place = place.bytes();
        let whole = self.signing(list, tenant, &place).finalize().into_bytes();
        let mut cursor = whole.get(..SIGN_BYTES).unwrap_or_default().to_vec();
        self.hide(&cursor, &mut place);
        cursor.extend(place);
        URL_SAFE_NO_PAD.encode(cursor)
    }

    /// The place that a cursor stands for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no cursor of this list and tenant.
    pub(super) fn place<P: Place>(
        &self,
        list: List,
        tenant: &Tenant,
        cursor: &str,
    ) -> Result<P, Error> {
        self.read(list, tenant, cursor)
            .ok_or_else(|| Error::Invalid {
                field: "cursor",
                problem: "it is not a cursor of this list".to_owned(),
                allowed: "next_cursor of the page before, unchanged and from this version of the \
                          server, or none for the first page"
                    .to_owned(),
            })
    }

    fn read<P: Place>(&self, list: List, tenant: &Tenant, cursor: &str) -> Option<P> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (sign, hidden) = bytes.split_at_checked(SIGN_BYTES)?;
        if hidden.len() > PLACE_BYTES_MAX {
            return None;
        }
        let mut place = hidden.to_vec();
        self.hide(sign, &mut place);
        let signing = self.signing(list, tenant, &place);
        signing.verify_truncated_left(sign).ok()?;
        P::read(&place)
    }

    fn signing(&self, list: List, tenant: &Tenant, place: &[u8]) -> Hmac<Sha256> {
        // A label ends before the place, which has the length of its list: no two are written alike.
        let signing = self.0.clone().chain_update(SIGNING);
        let signing = signing.chain_update([0]).chain_update(list.label());
        let signing = signing.chain_update([0]).chain_update(place);
        signing.chain_update(tenant.name())
    }

    /// Hides a place, or shows one that was hidden.
    fn hide(&self, sign: &[u8], place: &mut [u8]) {
        let hiding = self.0.clone().chain_update(HIDING).chain_update([0]);
        let mask = hiding.chain_update(sign).finalize().into_bytes();
        for (byte, mask) in place.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

impl Workspace {
    /// The place in a list of this tenant that a cursor stands for; none without one.
    pub(super) async fn place<P: Place>(
        &self,
        list: List,
        cursor: Option<&str>,
    ) -> Result<Option<P>, Error> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let place = self.cursors().await?.place(list, self.tenant(), cursor);
        place.map(Some)
    }

    /// The cursor for a place in a list of this tenant; none for none.
    pub(super) async fn cursor(
        &self,
        list: List,
        place: Option<impl Place>,
    ) -> Result<Option<String>, Error> {
        let Some(place) = place else {
            return Ok(None);
        };
        let cursors = self.cursors().await?;
        Ok(Some(cursors.cursor(list, self.tenant(), &place)))
    }

    async fn cursors(&self) -> Result<&Cursors, Error> {
        let shared = &self.shared;
        let made = shared.cursors.get_or_try_init(async || {
            let key = shared.services.store.cursor_key().await?;
            Ok(Cursors::new(key))
        });
        made.await.map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTS: [List; 3] = [List::Executions, List::Sessions, List::Heaps];

    fn cursors(key: u8) -> Cursors {
        Cursors::new(CursorKey([key; CURSOR_KEY_BYTES]))
    }

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    fn execution(submitted_us: i64, id: [u8; 16]) -> ExecutionPosition {
        let mut bytes = submitted_us.to_be_bytes().to_vec();
        bytes.extend(id);
        ExecutionPosition::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn a_cursor_says_nothing_to_who_does_not_have_the_key() {
        let shown = |number| {
            let cursor = cursors(1).cursor(List::Sessions, &tenant("a"), &ListPosition(number));
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
        let long = "A".repeat(10_000);
        // The last is what an older version gave out with this key: the number 77 of its list.
        let older = older("a", 77);
        for text in [
            "",
            "77",
            "e1-4d",
            "e1-",
            "\u{e9}",
            "====",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            &long,
            &older,
        ] {
            let refused = |read: Option<Error>| {
                let refused = matches!(
                    read,
                    Some(Error::Invalid {
                        field: "cursor",
                        ..
                    })
                );
                assert!(refused, "{text}");
            };
            let cursors = cursors(1);
            refused(
                cursors
                    .place::<ExecutionPosition>(List::Executions, &one, text)
                    .err(),
            );
            for list in LISTS {
                refused(cursors.place::<ListPosition>(list, &one, text).err());
            }
        }
    }

    /// A cursor of executions as it was while they were listed by number.
    fn older(tenant: &str, number: i64) -> String {
        let mac = cursors(1).0.chain_update(SIGNING);
        let mac = mac
            .chain_update(b"\0executions 2\0")
            .chain_update(number.to_be_bytes());
        let mut cursor = mac.chain_update(tenant).finalize().into_bytes()[..SIGN_BYTES].to_vec();
        let mut number = number.to_be_bytes();
        cursors(1).hide(&cursor, &mut number);
        cursor.extend(number);
        URL_SAFE_NO_PAD.encode(cursor)
    }

    #[test]
    fn a_place_of_another_length_is_none_whatever_its_sign() {
        let (cursors, one) = (cursors(1), tenant("a"));
        let number = cursors.cursor(List::Executions, &one, &ListPosition(7));
        let read: Option<ExecutionPosition> = cursors.read(List::Executions, &one, &number);
        assert_eq!(read, None);
        let place = cursors.cursor(List::Sessions, &one, &execution(7, [7; 16]));
        let read: Option<ListPosition> = cursors.read(List::Sessions, &one, &place);
        assert_eq!(read, None);
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_to_its_list_and_tenant_alone(
            (number, id) in any::<(i64, [u8; 16])>(), list in 0..3_usize, at in 0..40_usize, bit in 0..8_u32,
        ) {
            let (cursors, one, place) = (cursors(1), tenant("a"), execution(number, id));
            let list = LISTS[list];
            let cursor = cursors.cursor(list, &one, &place);
            let read = |list, tenant: &str, cursor: &str| {
                cursors.read::<ExecutionPosition>(list, &super::tests::tenant(tenant), cursor)
            };
            prop_assert_eq!(read(list, "a", &cursor), Some(place));
            prop_assert_eq!(&cursors.cursor(list, &one, &place), &cursor);
            for other in LISTS.into_iter().filter(|other| *other != list) {
                prop_assert_eq!(read(other, "a", &cursor), None);
            }
            for other in ["b", "aa", "a "] {
                prop_assert_eq!(read(list, other, &cursor), None);
            }
            let other: Option<ExecutionPosition> =
                super::tests::cursors(2).read(list, &one, &cursor);
            prop_assert_eq!(other, None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(read(list, "a", &URL_SAFE_NO_PAD.encode(&bytes)), None);
            bytes.truncate(at);
            prop_assert_eq!(read(list, "a", &URL_SAFE_NO_PAD.encode(&bytes)), None);
        }
    }
}
