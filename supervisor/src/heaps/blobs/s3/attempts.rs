//! Asking again: with a limit for each attempt, and pauses that grow and are not the same for all who
//! were turned away at once.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use rusoto_core::RusotoError;
use rusoto_core::request::BufferedHttpResponse;
use tokio::time::{sleep, timeout};

use crate::heaps::blobs::BlobError;
use crate::limits::{
    S3_ANSWER_TIMEOUT, S3_ATTEMPTS_MAX, S3_BYTES_PER_SEC_MIN, S3_RETRY_PAUSE, S3_RETRY_PAUSE_MAX,
};

/// How much of what a server says is passed on.
const SAID_BYTES_MAX: usize = 300;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another may succeed.
    Passing(String),
    /// The credentials are too old; another may succeed with new ones.
    Expired(String),
    /// It is no use to ask again.
    Lasting(String),
    /// There is more than there may be.
    Oversized,
}

/// Runs attempts until one succeeds or it is no use. `bytes` are to be sent or received by each.
/// `renew` is called where credentials are too old.
pub(super) async fn attempts<T, A, R>(
    bytes: usize,
    mut attempt: impl FnMut() -> A,
    renew: impl Fn() -> R,
) -> Result<T, BlobError>
where
    A: Future<Output = Result<T, Trouble>>,
    R: Future<Output = ()>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        // rusoto's readers of XML panic on what they do not expect.
        let run = AssertUnwindSafe(attempt()).catch_unwind();
        let trouble = match in_time(bytes, run).await {
            Ok(Ok(Ok(done))) => return Ok(done),
            Ok(Ok(Err(trouble))) | Err(trouble) => trouble,
            Ok(Err(_panic)) => Trouble::Passing("its answer makes no sense".to_owned()),
        };
        let why = match trouble {
            Trouble::Passing(why) => why,
            Trouble::Expired(why) => {
                renew().await;
                why
            }
            Trouble::Lasting(why) => return Err(BlobError::Unavailable(format!("S3: {why}"))),
            Trouble::Oversized => return Err(BlobError::Oversized),
        };
        if tries == S3_ATTEMPTS_MAX {
            let why = format!("S3, asked {tries} times: {why}");
            return Err(BlobError::Unavailable(why));
        }
        tracing::debug!(tries, why, "S3 is asked again");
        sleep(pause_after(tries)).await;
    }
}

/// Waits for a part of an attempt that has so many bytes to wait for.
pub(super) async fn in_time<T>(bytes: usize, part: impl Future<Output = T>) -> Result<T, Trouble> {
    let limit = time_for(bytes);
    let late = |_| Trouble::Passing(format!("no answer within {} s", limit.as_secs()));
    timeout(limit, part).await.map_err(late)
}

/// What an attempt may take.
fn time_for(bytes: usize) -> Duration {
    S3_ANSWER_TIMEOUT + Duration::from_secs((bytes / S3_BYTES_PER_SEC_MIN) as u64)
}

/// Somewhere between nothing and a time that doubles with each try.
fn pause_after(tries: u32) -> Duration {
    let longest = S3_RETRY_PAUSE
        .saturating_mul(1 << (tries - 1).min(16))
        .min(S3_RETRY_PAUSE_MAX);
    // Without the kernel's generator all would come back at the same time, which is no worse.
    let share = getrandom::u32().unwrap_or(u32::MAX);
    longest.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

impl<E: Error + 'static> From<RusotoError<E>> for Trouble {
    fn from(error: RusotoError<E>) -> Self {
        match error {
            RusotoError::Unknown(answer) => judge(&answer),
            RusotoError::HttpDispatch(error) => Self::Passing(cut(&error.to_string())),
            RusotoError::ParseError(why) => {
                Self::Passing(format!("its answer makes no sense: {}", cut(&why)))
            }
            RusotoError::Credentials(error) => Self::Lasting(error.to_string()),
            error => Self::Lasting(cut(&error.to_string())),
        }
    }
}

/// What an answer means that says neither that it is done nor why it cannot be.
fn judge(answer: &BufferedHttpResponse) -> Trouble {
    let status = answer.status.as_u16();
    let body = answer.body_as_str();
    let code = element(body, "Code").unwrap_or_default();
    let message = element(body, "Message").unwrap_or_default();
    let said = match (code, message) {
        ("", "") => format!("status {status}"),
        (code, message) => format!("status {status}, {}: {}", cut(code), cut(message)),
    };
    match (status, code) {
        (_, "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired") => {
            Trouble::Expired(said)
        }
        // What was sent did not arrive as it was, or not in time.
        (400, "BadDigest" | "InvalidDigest" | "RequestTimeout" | "IncompleteBody") => {
            Trouble::Passing(said)
        }
        (408 | 425 | 429 | 500..=599, _) => Trouble::Passing(said),
        _ => Trouble::Lasting(said),
    }
}

/// The text of the first element of that name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// The beginning of a text that somebody else wrote, for people.
pub(super) fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(SAID_BYTES_MAX);
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    text[..end].chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Trouble {
        judge(&BufferedHttpResponse {
            status: status.try_into().unwrap(),
            body: body.into(),
            headers: (&std::collections::HashMap::<String, String>::new())
                .try_into()
                .unwrap(),
        })
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [500, 502, 503, 504, 429, 408] {
            assert!(matches!(answer(status, "<html>"), Trouble::Passing(_)));
        }
        let digest = "<Error><Code>BadDigest</Code><Message>m</Message></Error>";
        let said = "status 400, BadDigest: m".to_owned();
        assert_eq!(answer(400, digest), Trouble::Passing(said));
        let expired = "<Error><Code>ExpiredToken</Code></Error>";
        assert!(matches!(answer(400, expired), Trouble::Expired(_)));
        for status in [301, 400, 401, 403, 404, 405, 411] {
            assert!(matches!(answer(status, ""), Trouble::Lasting(_)));
        }
    }

    #[test]
    fn what_a_server_says_is_cut() {
        assert_eq!(cut("a\nb"), "a b");
        assert_eq!(cut(&"ü".repeat(SAID_BYTES_MAX)).len(), SAID_BYTES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end() {
        let (tried, renewed) = (Cell::new(0), Cell::new(0));
        let run = async |bytes, trouble: Option<Trouble>| {
            tried.set(0);
            let attempt = || async {
                tried.set(tried.get() + 1);
                match &trouble {
                    Some(trouble) => Err::<(), _>(trouble.clone()),
                    None => std::future::pending().await,
                }
            };
            let renew = || async { renewed.set(renewed.get() + 1) };
            let failed = attempts(bytes, attempt, renew).await.unwrap_err();
            (tried.get(), failed.to_string())
        };
        let asked = format!("S3, asked {S3_ATTEMPTS_MAX} times: ");
        let passing = Some(Trouble::Passing("p".to_owned()));
        assert_eq!(
            run(0, passing).await,
            (S3_ATTEMPTS_MAX, format!("{asked}p"))
        );
        let lasting = Some(Trouble::Lasting("l".to_owned()));
        assert_eq!(run(0, lasting).await, (1, "S3: l".to_owned()));
        let expired = Some(Trouble::Expired("e".to_owned()));
        assert_eq!(
            run(0, expired).await,
            (S3_ATTEMPTS_MAX, format!("{asked}e"))
        );
        assert_eq!(renewed.get(), S3_ATTEMPTS_MAX);
        let (count, said) = run(10 * S3_BYTES_PER_SEC_MIN, None).await;
        assert_eq!(count, S3_ATTEMPTS_MAX);
        let secs = S3_ANSWER_TIMEOUT.as_secs() + 10;
        assert_eq!(said, format!("{asked}no answer within {secs} s"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_trouble_that_passes() {
        let tried = Cell::new(0);
        let attempt = || async {
            tried.set(tried.get() + 1);
            assert!(tried.get() > 1, "the first one panics");
            Ok(tried.get())
        };
        assert_eq!(attempts(0, attempt, || async {}).await, Ok(2));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        for tries in 1..100 {
            let longest = S3_RETRY_PAUSE.as_secs_f64() * 2_f64.powi(tries - 1);
            let pause = pause_after(tries.unsigned_abs());
            assert!(pause.as_secs_f64() <= longest && pause <= S3_RETRY_PAUSE_MAX);
        }
    }
}
