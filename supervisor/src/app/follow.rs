//! Output that is followed while it is written.

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::error::Error;
use super::workspace::Workspace;
use crate::limits;
use crate::raft::ids::RaftId;
use crate::store::{ExecutionId, OutputPage, PageRequest, View};

/// A reader of one execution's output, which waits for more until the end. It holds no text and no
/// view between two pieces: however slowly it is asked, it costs nothing.
#[derive(Debug)]
pub struct Follower {
    workspace: Workspace,
    id: ExecutionId,
    offset: u64,
    /// Nothing is looked up before: what a script writes in a row comes in one piece.
    not_before: Instant,
    is_over: bool,
}

/// What a follower comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// More output, [`limits::STREAM_PIECE_BYTES_MAX`] at most.
    Output(OutputPage),
    /// All output was read, and the execution has ended. Nothing follows.
    End(Box<View>),
}

/// How an execution stands, as far as its output goes.
struct Standing {
    output_bytes: u64,
    has_ended: bool,
    news: News,
}

/// Who says that it stands otherwise.
enum News {
    /// Its driver.
    Driver(watch::Receiver<View>),
    /// The node that runs it.
    Node(RaftId),
    /// Nobody: it has to be looked for.
    Nobody,
}

impl Workspace {
    /// Follows the output from this byte on, or from the end that it has now where that is less.
    ///
    /// # Errors
    /// As [`Workspace::get`].
    pub async fn follow(&self, id: ExecutionId, byte_offset: u64) -> Result<Follower, Error> {
        let standing = self.standing(id).await?;
        Ok(Follower {
            workspace: self.clone(),
            id,
            offset: byte_offset.min(standing.output_bytes),
            not_before: Instant::now(),
            is_over: false,
        })
    }

    async fn standing(&self, id: ExecutionId) -> Result<Standing, Error> {
        let of = |view: &View, news| Standing {
            output_bytes: view.output_bytes,
            has_ended: view.end.is_some(),
            news,
        };
        if let Some(mut driver) = self.live_view(id) {
            let standing = of(&driver.borrow_and_update(), News::Nobody);
            let news = News::Driver(driver);
            return Ok(Standing { news, ..standing });
        }
        let (view, node) = match self.known(id) {
            Some(view) => (view, None),
            None => self.seen(id).await?,
        };
        Ok(of(&view, node.map_or(News::Nobody, News::Node)))
    }
}

impl Follower {
    /// The byte at which it goes on.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece, once there is one; `None` after the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Workspace::output`].
    pub async fn next(&mut self) -> Result<Option<Followed>, Error> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            sleep_until(self.not_before).await;
            let standing = self.workspace.standing(self.id).await?;
            self.not_before = Instant::now() + limits::STREAM_PAUSE;
            if standing.output_bytes > self.offset || standing.has_ended {
                if let Some(page) = self.page().await? {
                    return Ok(Some(Followed::Output(page)));
                }
                if standing.has_ended {
                    let view = self.workspace.get(self.id).await?;
                    self.is_over = true;
                    return Ok(Some(Followed::End(Box::new(view))));
                }
                // What is known of is not stored yet.
                continue;
            }
            match standing.news {
                // Without a driver the next look says what the store knows.
                News::Driver(mut driver) => drop(driver.changed().await),
                News::Node(node) => self.grown_there(node).await,
                News::Nobody => sleep(limits::FOREIGN_POLL_INTERVAL).await,
            }
        }
    }

    /// A node that gives no answer may come back, or be given up.
    async fn grown_there(&self, node: RaftId) {
        let grown = self.workspace.growth_there(node, self.id, self.offset);
        if grown.await.is_err() {
            sleep(limits::FOREIGN_POLL_INTERVAL).await;
        }
    }

    async fn page(&mut self) -> Result<Option<OutputPage>, Error> {
        let request = PageRequest::Bytes {
            offset: self.offset,
            limit: limits::STREAM_PIECE_BYTES_MAX,
        };
        let page = self.workspace.output(self.id, request).await?;
        // An empty page is of an output that is not stored up to here yet.
        if page.data.is_empty() {
            return Ok(None);
        }
        self.offset = page.next_byte_offset;
        if page.has_more {
            self.not_before = Instant::now();
        }
        Ok(Some(page))
    }
}
