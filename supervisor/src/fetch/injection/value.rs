//! The values of injected headers: texts with `${NAME}` from the environment and `${file:/path}` from
//! a file. None of them is ever shown.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;

use super::secret_file::SecretFile;
use crate::limits::HEADER_VALUE_BYTES_MAX;

/// The environment, as far as it is asked.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<OsString> + Sync);

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// As the value of a header, which says that it is not to be shown.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.0).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Secret),
    Variable(String),
    File(PathBuf),
}

/// What is wrong with a value, which is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// An opening without an end.
    #[error("its value has a ${{ without a }} (a value that holds ${{ is written with $${{)")]
    Unclosed,
    /// What stands between the braces is neither a name nor a file.
    #[error("its value has a ${{...}} that is neither ${{NAME}} nor ${{file:/path}}")]
    Unknown,
    /// Nothing is no value.
    #[error("its value is empty")]
    Empty,
    /// It is too long, or holds what no header may hold.
    #[error(
        "its value is longer than {HEADER_VALUE_BYTES_MAX} bytes or holds a character that no header \
         may hold, as the end of a line"
    )]
    Unfit,
    /// The variable does not exist.
    #[error(
        "its value is in the environment variable {0}, which is not set, is empty or is not text"
    )]
    NoVariable(String),
    /// The file cannot be read.
    #[error("its value is in the file {path}, which cannot be read: {problem}", path = .0.display(), problem = .1)]
    NoFile(PathBuf, Arc<io::Error>),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, ValueError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, opened) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = opened.get(2..).unwrap_or_default();
                continue;
            }
            literal.push_str(before);
            let opened = opened.get(2..).unwrap_or_default();
            let (inside, after) = opened.split_once('}').ok_or(ValueError::Unclosed)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(Secret(std::mem::take(&mut literal))));
            }
            pieces.push(Piece::parse(inside)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(Secret(literal)));
        }
        if pieces.is_empty() {
            return Err(ValueError::Empty);
        }
        Ok(Self(pieces))
    }

    /// With what is in the environment, and files as they stand; whatever is missing is an error.
    pub(super) async fn open(self, environment: Environment<'_>) -> Result<Value, ValueError> {
        let parts = self.0.into_iter().map(|piece| piece.open(environment));
        let value = Value(parts.collect::<Result<_, _>>()?);
        let whole = value.text().await.map_err(|missing| {
            let Missing { file, error } = missing;
            ValueError::NoFile(file.path.clone(), error)
        })?;
        whole.header().map(|_| value).ok_or(ValueError::Unfit)
    }
}

impl Piece {
    fn parse(inside: &str) -> Result<Self, ValueError> {
        if let Some(path) = inside.strip_prefix("file:") {
            if path.is_empty() || path.contains('\0') {
                return Err(ValueError::Unknown);
            }
            return Ok(Self::File(PathBuf::from(path)));
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if inside.is_empty() || !inside.bytes().all(is_part) {
            return Err(ValueError::Unknown);
        }
        Ok(Self::Variable(inside.to_owned()))
    }

    fn open(self, environment: Environment<'_>) -> Result<Part, ValueError> {
        Ok(match self {
            Self::Literal(secret) => Part::Fixed(secret),
            Self::Variable(name) => {
                let text = environment(&name).and_then(|value| value.into_string().ok());
                let text = text.filter(|text| !text.is_empty());
                Part::Fixed(Secret(text.ok_or(ValueError::NoVariable(name))?))
            }
            Self::File(path) => Part::File(SecretFile::at(path)),
        })
    }
}

/// A value that can be had.
#[derive(Debug)]
pub(super) struct Value(Vec<Part>);

#[derive(Debug)]
enum Part {
    Fixed(Secret),
    File(SecretFile),
}

/// A file without the value that it should have.
struct Missing<'a> {
    file: &'a SecretFile,
    error: Arc<io::Error>,
}

/// Why a value cannot be had now. It may be shown to scripts: it names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotNow {
    #[error("the file with its value cannot be read")]
    Unreadable,
    #[error("its value holds what no header may hold")]
    Unfit,
}

impl Value {
    /// The value as it is now.
    pub(super) async fn get(&self) -> Result<Secret, NotNow> {
        self.text().await.map_err(|Missing { file, error }| {
            file.complain(&error);
            NotNow::Unreadable
        })
    }

    async fn text(&self) -> Result<Secret, Missing<'_>> {
        let mut whole = String::new();
        for part in &self.0 {
            match part {
                Part::Fixed(secret) => whole.push_str(secret.text()),
                Part::File(file) => {
                    let found = file.now().await;
                    let secret = found.map_err(|error| Missing { file, error })?;
                    whole.push_str(secret.text());
                }
            }
        }
        Ok(Secret(whole))
    }
}
