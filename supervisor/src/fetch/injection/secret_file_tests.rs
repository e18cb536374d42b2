use std::io::Write;
use std::sync::Mutex;

use super::*;

/// A log in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn those_who_come_while_a_look_is_slow_share_the_next_and_nobody_waits_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "value").unwrap();
    let file = Arc::new(SecretFile::at(path));
    // Somebody looks, and the file does not answer.
    let slow = Arc::clone(&file.flight).lock_owned().await;
    tokio::time::pause();
    let late = file.now().await.unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    tokio::time::resume();
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let file = Arc::clone(&file);
            tokio::spawn(async move { file.now().await })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(slow);
    let mut began = Vec::new();
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap().text(), "value");
        began.push(file.flight.lock().await.as_ref().unwrap().began);
    }
    began.dedup();
    assert_eq!(began.len(), 1, "each has looked for itself");
}

#[tokio::test]
async fn a_file_that_is_gone_fills_no_log() {
    let log = Lines::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let file = SecretFile::at("/does/not/exist".into());
    tokio::time::pause();
    for _ in 0..2 {
        for _ in 0..100 {
            file.complain(&file.now().await.unwrap_err());
        }
        tokio::time::advance(HEADER_FILE_LOG_INTERVAL).await;
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.lines().count(), 2, "{log}");
}
