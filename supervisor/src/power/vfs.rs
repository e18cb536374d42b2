//! SQLite's way to the system, watched.
//!
//! A VFS takes the place of SQLite's own. Files of other directories go on to that as they are. Those of a
//! watched one go there too, with four of their methods exchanged: a write, a truncation and a close are
//! written down and done; a sync is written down, and not done, because nobody's power goes.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_MAIN_JOURNAL,
    SQLITE_OPEN_WAL, sqlite3_file, sqlite3_filename, sqlite3_initialize, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::recording::{Act, FileNumber, Shared, lock};

/// A file that SQLite has open.
struct Opened {
    journal: Shared,
    number: FileNumber,
    name: String,
    /// Its next sync takes the names of its directory along: so SQLite does with journals.
    syncs_names: bool,
    methods: &'static sqlite3_io_methods,
}

#[derive(Default)]
struct Watch {
    directories: HashMap<PathBuf, Shared>,
    /// By the address of what SQLite keeps of them.
    open: HashMap<usize, Opened>,
    /// Methods with four exchanged, by the address of those that they are made of.
    exchanged: HashMap<usize, &'static sqlite3_io_methods>,
}

static WATCH: LazyLock<Mutex<Watch>> = LazyLock::new(Mutex::default);

fn watching() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQLite's own VFS, which it never changes or gives up.
struct Own(*mut sqlite3_vfs);

// SAFETY: the VFS is static, and SQLite itself calls it on all threads.
unsafe impl Send for Own {}
// SAFETY: as above.
unsafe impl Sync for Own {}

static OWN: LazyLock<Own> = LazyLock::new(|| {
    // SAFETY: it may be called at any time, on any thread.
    let begun = unsafe { sqlite3_initialize() };
    assert_eq!(begun, SQLITE_OK);
    // SAFETY: SQLite has begun; null asks for its own VFS.
    let own = unsafe { sqlite3_vfs_find(std::ptr::null()) };
    // SAFETY: it is one, since SQLite runs.
    let mut vfs = unsafe { *own };
    vfs.pNext = std::ptr::null_mut();
    vfs.zName = c"watched".as_ptr();
    vfs.xOpen = Some(open);
    vfs.xDelete = Some(delete);
    let vfs = Box::leak(Box::new(vfs));
    // SAFETY: it is whole, and stays for ever. What is copied from SQLite's own takes it for that one,
    // whose data it has.
    let registered = unsafe { sqlite3_vfs_register(vfs, 1) };
    assert_eq!(registered, SQLITE_OK);
    Own(own)
});

/// Watches a directory from now on.
pub(super) fn watch(directory: &Path, journal: Shared) {
    LazyLock::force(&OWN);
    let directory = directory.canonicalize().unwrap();
    watching().directories.insert(directory, journal);
}

/// Does so no more, with files that are opened from now on.
pub(super) fn unwatch(directory: &Path) {
    let directory = directory.canonicalize();
    let mut watch = watching();
    match directory {
        Ok(directory) => watch.directories.remove(&directory),
        Err(_) => None,
    };
    watch.directories.retain(|known, _| known.exists());
}

/// The journal that a file belongs in, and the name that it has there.
fn place(path: &CStr) -> Option<(Shared, String)> {
    let path = Path::new(path.to_str().ok()?);
    let journal = watching().directories.get(path.parent()?)?.clone();
    let name = path.file_name()?.to_str()?;
    let is_database = [".db", ".db-wal", ".db-journal"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    is_database.then(|| (journal, name.to_owned()))
}

/// What a name of SQLite's says; `None` of a temporary file, which has none.
///
/// # Safety
/// The name is null, or ends with a zero and stays while the answer is used.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a CStr> {
    // SAFETY: as the caller says.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_then: *mut c_int,
) -> c_int {
    // SAFETY: it is static.
    let Some(open) = (unsafe { (*OWN.0).xOpen }) else {
        return SQLITE_IOERR;
    };
    // SAFETY: these are SQLite's own arguments.
    let opened = unsafe { open(vfs, name, file, flags, flags_then) };
    // SAFETY: SQLite's names end with a zero, and stay until the file is closed.
    let place = unsafe { text(name) }.and_then(place);
    let is_wanted = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) != 0;
    let Some((journal, name)) = place.filter(|_| opened == SQLITE_OK && is_wanted) else {
        return opened;
    };
    let number = lock(&journal).open(&name);
    let mut watch = watching();
    // SAFETY: it was opened, so it has methods, which are static.
    let methods = unsafe { &*(*file).pMethods };
    let exchanged = *watch
        .exchanged
        .entry(std::ptr::from_ref(methods) as usize)
        .or_insert_with(|| Box::leak(Box::new(exchange(*methods))));
    let opened_file = Opened {
        journal,
        number,
        name,
        syncs_names: flags & SQLITE_OPEN_MAIN_DB == 0,
        methods,
    };
    watch.open.insert(file as usize, opened_file);
    // SAFETY: the file is SQLite's and open, and these methods do with it what its own do.
    unsafe { (*file).pMethods = exchanged };
    opened
}

fn exchange(methods: sqlite3_io_methods) -> sqlite3_io_methods {
    sqlite3_io_methods {
        // Without mapping files into memory, where writes are not seen.
        iVersion: 2,
        xClose: Some(close),
        xWrite: Some(write),
        xTruncate: Some(truncate),
        xSync: Some(sync),
        ..methods
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, durably: c_int) -> c_int {
    // SAFETY: it is static.
    let Some(delete) = (unsafe { (*OWN.0).xDelete }) else {
        return SQLITE_IOERR;
    };
    // SAFETY: SQLite's names end with a zero.
    let place = unsafe { text(name) }.and_then(place);
    // Nothing is really synced.
    let durably_there = if place.is_some() { 0 } else { durably };
    // SAFETY: these are SQLite's own arguments.
    let deleted = unsafe { delete(vfs, name, durably_there) };
    if let Some((journal, name)) = place.filter(|_| deleted == SQLITE_OK) {
        lock(&journal).remove(&name, durably != 0);
    }
    deleted
}

/// Notes something about a file, and gives its own methods.
fn note(
    file: *mut sqlite3_file,
    act: impl FnOnce(&mut Opened),
) -> Option<&'static sqlite3_io_methods> {
    let mut watch = watching();
    let opened = watch.open.get_mut(&(file as usize))?;
    act(opened);
    Some(opened.methods)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let opened = watching().open.remove(&(file as usize));
    let Some(close) = opened.and_then(|opened| opened.methods.xClose) else {
        return SQLITE_IOERR;
    };
    // SAFETY: it is this file's method, and the argument SQLite's.
    unsafe { close(file) }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    let (Ok(bytes), Ok(from)) = (usize::try_from(length), usize::try_from(at)) else {
        return SQLITE_IOERR;
    };
    // SAFETY: SQLite gives so many bytes, which stay as they are during the call.
    let written = unsafe { slice::from_raw_parts(data.cast::<u8>(), bytes) };
    let mut has_room = true;
    let methods = note(file, |opened| {
        has_room = lock(&opened.journal).write(opened.number, from, written);
    });
    if !has_room {
        return SQLITE_FULL;
    }
    let Some(write) = methods.and_then(|methods| methods.xWrite) else {
        return SQLITE_IOERR;
    };
    // SAFETY: it is this file's method, and the arguments SQLite's.
    unsafe { write(file, data, length, at) }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let Ok(bytes) = usize::try_from(size) else {
        return SQLITE_IOERR;
    };
    let methods = note(file, |opened| {
        let act = Act::Truncate(opened.number, bytes);
        lock(&opened.journal).acts.push(act);
    });
    let Some(truncate) = methods.and_then(|methods| methods.xTruncate) else {
        return SQLITE_IOERR;
    };
    // SAFETY: it is this file's method, and the arguments SQLite's.
    unsafe { truncate(file, size) }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _how: c_int) -> c_int {
    let noted = note(file, |opened| {
        let mut journal = lock(&opened.journal);
        journal.sync(opened.number, &opened.name);
        if std::mem::take(&mut opened.syncs_names) {
            journal.acts.push(Act::SyncNames);
        }
    });
    noted.map_or(SQLITE_IOERR, |_| SQLITE_OK)
}
