//! Executions by the beginning of their names.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::StoreError;
use super::read::count;
use super::record::ExecutionId;
use super::{IdMatches, Store};
use crate::tenant::Tenant;

/// Digits of a name.
const DIGITS: usize = 32;
/// Before which digits of a name a hyphen stands.
const HYPHENS: [usize; 4] = [8, 12, 16, 20];

/// All names that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IdRange {
    first: Uuid,
    last: Uuid,
}

impl IdRange {
    /// The names that begin with this text as they are written, in either case of letters; `None`
    /// when none can.
    fn beginning_with(text: &str) -> Option<Self> {
        let mut digits = String::with_capacity(DIGITS);
        let mut hyphens = 0;
        for character in text.chars() {
            let is_due = HYPHENS.get(hyphens) == Some(&digits.len());
            match character {
                '-' if is_due => hyphens += 1,
                _ if is_due || digits.len() == DIGITS => return None,
                _ if character.is_ascii_hexdigit() => digits.push(character),
                _ => return None,
            }
        }
        let filled = |digit: char| {
            let rest = std::iter::repeat_n(digit, DIGITS - digits.len());
            let name: String = digits.chars().chain(rest).collect();
            Uuid::try_parse(&name).ok()
        };
        Some(Self {
            first: filled('0')?,
            last: filled('f')?,
        })
    }
}

impl Store {
    /// The executions of a tenant whose names begin with this text: the newest, at most `limit`, and
    /// how many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ids_beginning_with(
        &self,
        tenant: Tenant,
        text: &str,
        limit: u32,
    ) -> Result<IdMatches, StoreError> {
        let Some(range) = IdRange::beginning_with(text) else {
            return Ok(IdMatches::default());
        };
        self.read(tenant, move |connection, tenant| {
            matches(connection, tenant, range, limit)
        })
        .await
    }
}

fn matches(
    connection: &Connection,
    tenant: &Tenant,
    range: IdRange,
    limit: u32,
) -> Result<IdMatches, StoreError> {
    let (first, last) = (range.first.as_bytes(), range.last.as_bytes());
    let total = connection
        .prepare_cached(
            "SELECT count(*) FROM executions WHERE id BETWEEN ?1 AND ?2 AND tenant = ?3",
        )?
        .query_one(params![first, last, tenant.name()], |row| Ok(count(row, 0)))??;
    let mut statement = connection.prepare_cached(
        "SELECT id FROM executions WHERE id BETWEEN ?1 AND ?2 AND tenant = ?3
         ORDER BY submitted_at DESC, id DESC LIMIT ?4",
    )?;
    let newest = statement
        .query_map(params![first, last, tenant.name(), limit], |row| {
            Ok(ExecutionId(Uuid::from_bytes(row.get(0)?)))
        })?
        .collect::<Result<_, _>>()?;
    Ok(IdMatches { newest, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<(String, String)> {
        let range = IdRange::beginning_with(text)?;
        Some((range.first.to_string(), range.last.to_string()))
    }

    #[test]
    fn a_beginning_is_a_range() {
        const LEAST: &str = "00000000-0000-0000-0000-000000000000";
        const MOST: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";
        let whole = "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11";
        for end in 0..=whole.len() {
            let text = &whole[..end];
            let expected = (
                format!("{text}{}", &LEAST[end..]),
                format!("{text}{}", &MOST[end..]),
            );
            assert_eq!(range(text), Some(expected.clone()), "{text}");
            assert_eq!(range(&text.to_uppercase()), Some(expected), "{text}");
        }
    }

    #[test]
    fn no_name_begins_with_anything_else() {
        for text in [
            "x",
            "-",
            "2f1c7a524",
            "2f1c-",
            "2f1c7a52--",
            " 2f",
            "\u{e9}",
            "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e110",
            "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11-",
        ] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
