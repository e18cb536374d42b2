//! The values of injected headers: texts with `${NAME}` from the environment and `${file:/path}` from
//! a file. None of them is ever shown.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::limits::{HEADER_FILE_TIMEOUT, HEADER_VALUE_BYTES_MAX};

/// The environment, as far as it is asked.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<OsString> + Sync);

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
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
    NoFile(PathBuf, io::Error),
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
    pub(super) fn open(self, environment: Environment<'_>) -> Result<Value, ValueError> {
        let parts = self.0.into_iter().map(|piece| piece.open(environment));
        let value = Value(parts.collect::<Result<_, _>>()?);
        let whole = value.text(|file| {
            let read = file.read();
            read.map_err(|problem| ValueError::NoFile(file.path.clone(), problem))
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
            Self::File(path) => Part::File(Arc::new(SecretFile {
                path,
                known: Mutex::default(),
            })),
        })
    }
}

/// A value that can be had.
#[derive(Debug)]
pub(super) struct Value(Vec<Part>);

#[derive(Debug)]
enum Part {
    Fixed(Secret),
    File(Arc<SecretFile>),
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
        let mut files = Vec::new();
        for part in &self.0 {
            if let Part::File(file) = part {
                files.push(SecretFile::now(file).await?);
            }
        }
        let mut files = files.into_iter();
        self.text(|_| files.next().ok_or(NotNow::Unreadable))
    }

    fn text<E>(&self, mut of: impl FnMut(&SecretFile) -> Result<Secret, E>) -> Result<Secret, E> {
        let mut whole = String::new();
        for part in &self.0 {
            match part {
                Part::Fixed(secret) => whole.push_str(secret.text()),
                Part::File(file) => whole.push_str(of(file)?.text()),
            }
        }
        Ok(Secret(whole))
    }
}

/// What tells one state of a file from another.
type Mark = (u64, i64, i64, u64);

/// A file with a value, which is read again when it has changed.
#[derive(Debug)]
struct SecretFile {
    path: PathBuf,
    known: Mutex<Option<(Mark, Secret)>>,
}

impl SecretFile {
    /// Not on this thread: the file may be far away.
    async fn now(this: &Arc<Self>) -> Result<Secret, NotNow> {
        let file = Arc::clone(this);
        let reading = timeout(HEADER_FILE_TIMEOUT, spawn_blocking(move || file.read()));
        let read = match reading.await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) | Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        read.map_err(|error| {
            let path = this.path.display();
            tracing::warn!("{path}, which has the value of a header, cannot be read: {error}");
            NotNow::Unreadable
        })
    }

    fn read(&self) -> io::Result<Secret> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = mark(&self.path.metadata()?);
        match &*known {
            Some((mark, secret)) if *mark == seen => Ok(secret.clone()),
            _ => {
                let secret = Secret(read(&self.path)?);
                *known = Some((seen, secret.clone()));
                Ok(secret)
            }
        }
    }
}

/// The whole file, without line ends behind the last line.
fn read(path: &Path) -> io::Result<String> {
    // A pipe would be waited for.
    let mut options = OpenOptions::new();
    let file: File = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    let most = HEADER_VALUE_BYTES_MAX as u64 + 1;
    let not_text = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other("it is not text"),
        _ => error,
    };
    file.take(most)
        .read_to_string(&mut text)
        .map_err(not_text)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    match text.len() {
        0 => Err(io::Error::other("it is empty")),
        length if length > HEADER_VALUE_BYTES_MAX => Err(io::Error::other("it is too large")),
        _ => Ok(text),
    }
}

fn mark(found: &Metadata) -> Mark {
    (found.ino(), found.mtime(), found.mtime_nsec(), found.len())
}
