//! What the log says of suspicious deaths.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::support::{Home, eventually, grandchildren, run, start};
use mcp_v8::app::{ExecutionsConfig, Turnover, WorkerStart};

/// A log that can be read.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspicious_death_is_one_line_with_the_hash_of_the_code_and_without_the_code() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .init();
    let home = Home::new();
    for worker_start in [WorkerStart::Exec, WorkerStart::Zygote] {
        let config = home.config();
        let executions = start(ExecutionsConfig {
            worker_start,
            // One suspicious death follows another here, and each is to be that of a forked worker.
            turnover: Turnover {
                suspicion_pause: Duration::ZERO,
                ..config.turnover
            },
            ..config
        })
        .await;
        for (source, sha256, words) in [
            (
                "stderr secret\nsignal 31",
                "08436729a706d94a0ec0f433cbb97e9bf9a1b9f3697b9e9ef716dd7eab321b1a",
                "treat it as an attack",
            ),
            (
                "stderr secret\nsignal 11",
                "cb9e8d1e0c8d277bba777e0490f27dd66fcb318313d1e126f9b7fa4cc1c96648",
                "an exploit that went wrong",
            ),
            (
                "stderr secret\nsignal 6",
                "2476e1643ba7c6bb450f26b44bd3d28f412c4d18a3b6976b00bc8f52c36fe59c",
                "found something wrong with itself",
            ),
            (
                "stderr out of memory\nsignal 11",
                "11ca42c94840994447a8793ceaa8f824fd5e24279c5ff11aaccdaa5030e9cb48",
                "its last words are that memory ran out",
            ),
        ] {
            if worker_start == WorkerStart::Zygote {
                // Where none is parked for too long, one is executed.
                eventually("a worker is parked", || !grandchildren().is_empty()).await;
            }
            let before = log.text().len();
            let view = run(&executions, source).await;
            let said = log.text().split_off(before);
            let lines: Vec<&str> = said.lines().filter(|line| line.contains(words)).collect();
            let [line] = lines.as_slice() else {
                panic!("one line has {words}: {said}");
            };
            let worker = match worker_start {
                WorkerStart::Exec => "worker=executed",
                WorkerStart::Zygote => "worker=forked by fork server ",
            };
            let execution = format!("execution={}", view.id);
            let code = format!("code_sha256={sha256}");
            for needed in [" WARN ", &execution, &code, worker] {
                assert!(line.contains(needed), "{needed} is missing: {line}");
            }
        }
        let before = log.text().len();
        for harmless in [
            "finish 1",
            "exit 86",
            "signal 9",
            "exit 3",
            "stderr out of memory\nsignal 5",
        ] {
            run(&executions, harmless).await;
        }
        let said = log.text().split_off(before);
        assert!(!said.contains("code_sha256"), "{said}");
        executions.shut_down().await;
    }
    assert!(!log.text().contains("secret"), "{}", log.text());
}
